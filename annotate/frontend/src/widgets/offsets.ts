// Places in a text, counted in Unicode code points as the server counts them, and the words between them.
export interface Piece {
  start: number;
  end: number;
  text: string;
  word: boolean;
}

export interface Span {
  start: number;
  end: number;
  label: string;
}

export function words(text: string, lang: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  const take = (segment: string): void => {
    const length = [...segment].length;
    found.push({ start: at, end: at + length, text: segment, word: segment.trim() !== "" });
    at += length;
  };
  if ("Segmenter" in Intl) {
    for (const { segment } of new Intl.Segmenter(lang || undefined, { granularity: "word" }).segment(text)) take(segment);
  } else for (const segment of text.match(/\s+|[^\s]+/gu) ?? []) take(segment);
  return found;
}

/** Cut pieces where marks begin or end, so that each piece lies in or out of a mark as a whole. */
export function cut(pieces: Piece[], spans: Span[]): Piece[] {
  const edges = [...new Set(spans.flatMap((span) => [span.start, span.end]))].sort((a, b) => a - b);
  return pieces.flatMap((piece) => {
    const inside = edges.filter((edge) => edge > piece.start && edge < piece.end);
    if (!inside.length) return [piece];
    const points = [...piece.text];
    const stops = [piece.start, ...inside, piece.end];
    return stops.slice(1).map((end, k) => {
      const start = stops[k] as number;
      const text = points.slice(start - piece.start, end - piece.start).join("");
      return { start, end, text, word: text.trim() !== "" };
    });
  });
}

/** Leave blanks at both ends out of a span. */
export function trim(text: string, start: number, end: number): [number, number] {
  const points = [...text];
  let [from, to] = [Math.max(0, start), Math.min(points.length, end)];
  while (from < to && !points[from]?.trim()) from += 1;
  while (to > from && !points[to - 1]?.trim()) to -= 1;
  return [from, to];
}
