// Rectangles in whole pixels of the image, always inside it and never empty.
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export const SMALLEST = 3;

function within(value: number, most: number): number {
  return Math.round(Math.min(Math.max(value, 0), most));
}

export function between(a: Point, b: Point, width: number, height: number): Rect {
  const [left, right] = [within(Math.min(a.x, b.x), width), within(Math.max(a.x, b.x), width)];
  const [top, bottom] = [within(Math.min(a.y, b.y), height), within(Math.max(a.y, b.y), height)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

export function shift(rect: Rect, dx: number, dy: number, width: number, height: number): Rect {
  return { ...rect, x: within(Math.min(rect.x + dx, width - rect.width), width), y: within(Math.min(rect.y + dy, height - rect.height), height) };
}

export function grow(rect: Rect, dx: number, dy: number, width: number, height: number): Rect {
  const wide = Math.max(SMALLEST, Math.min(rect.width + dx, width - rect.x));
  const tall = Math.max(SMALLEST, Math.min(rect.height + dy, height - rect.y));
  return { ...rect, width: Math.round(wide), height: Math.round(tall) };
}

/** A box in the middle, a quarter of the image wide and high; null where the image is too small to hold one. */
export function middle(width: number, height: number): Rect | null {
  if (width < SMALLEST || height < SMALLEST) return null;
  const [wide, tall] = [Math.max(SMALLEST, Math.round(width / 4)), Math.max(SMALLEST, Math.round(height / 4))];
  return { x: Math.floor((width - wide) / 2), y: Math.floor((height - tall) / 2), width: wide, height: tall };
}

export function corners(rect: Rect): Point[] {
  const [right, bottom] = [rect.x + rect.width, rect.y + rect.height];
  return [
    { x: rect.x, y: rect.y },
    { x: right, y: rect.y },
    { x: right, y: bottom },
    { x: rect.x, y: bottom },
  ];
}

export function holds(rect: Rect, point: Point): boolean {
  return point.x >= rect.x && point.x <= rect.x + rect.width && point.y >= rect.y && point.y <= rect.y + rect.height;
}
