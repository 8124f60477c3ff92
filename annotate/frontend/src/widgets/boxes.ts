// <label-boxes>: drag draws, tap selects, corners resize; two taps or Add box and arrows do it without dragging.
import { between, corners, grow, holds, middle, type Point, type Rect, shift, SMALLEST } from "./geometry";
import { define, type Helpers, make, MarksElement, t } from "./marks";

type Box = Rect & { label: string };
type Gesture = { from: Point; start: Rect | null; kind: "draw" | "move"; moved: boolean; before: string };

const SVG = "http://www.w3.org/2000/svg";
const REACH_TOUCH = 22;
const REACH_MOUSE = 9;

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

class LabelBoxes extends MarksElement<Box> {
  private image!: HTMLImageElement;
  private readonly stage = make("div", { class: "stage", tabindex: "0", role: "application", "aria-label": t("The picture to draw on") });
  private readonly svg = shape("svg", { "aria-hidden": "true" });
  private readonly loupe = make("canvas", { class: "loupe", width: "112", height: "112", hidden: "" });
  private readonly hint = make("span", { class: "small muted", role: "status" });
  private gesture: Gesture | null = null;
  private sketch: Rect | null = null;
  private taps: Point[] | null = null;

  protected build(): void {
    this.image = this.querySelector("img") as HTMLImageElement;
    this.image.replaceWith(this.stage);
    this.stage.append(this.image, this.svg, this.loupe);
    this.stage.parentElement?.after(this.toolbar());
    this.image.addEventListener("load", () => this.paint());
    new ResizeObserver(() => this.draw()).observe(this.stage);
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.drag(event));
    this.svg.addEventListener("pointerup", (event) => this.up(event));
    this.svg.addEventListener("pointercancel", () => {
      if (this.gesture) this.marks = JSON.parse(this.gesture.before) as Box[];
      this.end();
    });
  }

  protected surface(): HTMLElement {
    return this.stage;
  }

  private toolbar(): HTMLElement {
    const twice = make("button", { type: "button", class: "button", "aria-pressed": "false" }, t("Two-tap corners"));
    twice.onclick = () => {
      this.taps = this.taps ? null : [];
      twice.ariaPressed = String(this.taps !== null);
      this.hint.textContent = this.taps ? t("Tap two opposite corners") : "";
    };
    const plus = make("button", { type: "button", class: "button", "data-key": "n" }, t("Add box"), make("kbd", { class: "keyhint", "aria-hidden": "true" }, "N"));
    plus.onclick = () => this.plus();
    return make("div", { class: "boxtools" }, twice, plus, this.hint);
  }

  /** Put a new box into the middle and select it, for keys and for hands that cannot drag. */
  private plus(): void {
    const [width, height] = this.size;
    let box = middle(width, height);
    const step = Math.round(16 * this.scale);
    while (box && this.marks.some((one) => one.x === box?.x && one.y === box?.y)) {
      const next: Rect = shift(box, step, step, width, height);
      if (next.x === box.x && next.y === box.y) break;
      box = next;
    }
    if (!box || !this.insert(box)) return;
    this.choose(this.marks.length - 1);
    this.hint.textContent = t("Arrows move, Shift moves further, Alt resizes");
    this.stage.focus();
  }

  /** Without a picture that has loaded there is nothing to draw on. */
  private get size(): [number, number] {
    return [this.image.naturalWidth, this.image.naturalHeight];
  }

  /** Pixels of the image in one pixel of the screen. */
  private get scale(): number {
    return this.size[0] / (this.image.clientWidth || 1);
  }

  private at(event: PointerEvent): Point {
    const place = this.image.getBoundingClientRect();
    const [width, height] = this.size;
    return { x: ((event.clientX - place.x) / place.width) * width, y: ((event.clientY - place.y) / place.height) * height };
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || !event.isPrimary || !this.size[0]) return;
    const from = this.at(event);
    this.svg.setPointerCapture(event.pointerId);
    const chosen = this.marks[this.chosen];
    const before = JSON.stringify(this.marks);
    if (chosen && !this.taps) {
      const reach = (event.pointerType === "mouse" ? REACH_MOUSE : REACH_TOUCH) * this.scale;
      const all = corners(chosen);
      const near = all.findIndex((one) => Math.hypot(one.x - from.x, one.y - from.y) <= reach);
      if (near >= 0) {
        this.gesture = { from: all[(near + 2) % 4] as Point, start: null, kind: "draw", moved: false, before };
        return;
      }
      if (holds(chosen, from)) {
        this.gesture = { from, start: { ...chosen }, kind: "move", moved: false, before };
        return;
      }
    }
    this.chosen = -1;
    this.gesture = { from, start: null, kind: "draw", moved: false, before };
  }

  private drag(event: PointerEvent): void {
    const gesture = this.gesture;
    if (!gesture || this.taps) return;
    const here = this.at(event);
    const [width, height] = this.size;
    const chosen = this.marks[this.chosen];
    if (Math.hypot(here.x - gesture.from.x, here.y - gesture.from.y) > 4 * this.scale) gesture.moved = true;
    if (!gesture.moved) return;
    if (gesture.kind === "move" && chosen && gesture.start) {
      Object.assign(chosen, shift(gesture.start, here.x - gesture.from.x, here.y - gesture.from.y, width, height));
    } else if (chosen) Object.assign(chosen, between(gesture.from, here, width, height));
    else this.sketch = between(gesture.from, here, width, height);
    if (event.pointerType !== "mouse") this.magnify(here);
    this.draw();
  }

  private up(event: PointerEvent): void {
    const gesture = this.gesture;
    if (!gesture) return;
    const here = this.at(event);
    const sketch = this.sketch;
    const chosen = this.marks[this.chosen];
    this.end();
    if (this.taps) this.tap(here);
    else if (gesture.moved && chosen) {
      this.change(() => {
        if (chosen.width < SMALLEST || chosen.height < SMALLEST) this.marks = JSON.parse(gesture.before) as Box[];
      });
    } else if (!sketch || !this.insert(sketch)) {
      const inside = this.marks.map((box, place) => ({ box, place })).filter(({ box }) => holds(box, here));
      inside.sort((a, b) => a.box.width * a.box.height - b.box.width * b.box.height);
      this.choose(inside[0]?.place ?? -1);
    }
  }

  private tap(here: Point): void {
    const first = this.taps?.[0];
    if (!first) {
      this.taps = [here];
      this.paint();
      this.hint.textContent = t("Tap the second corner");
      return;
    }
    const box = between(first, here, ...this.size);
    this.taps = [];
    this.hint.textContent = t("Tap two opposite corners");
    this.insert(box);
  }

  private end(): void {
    this.gesture = null;
    this.sketch = null;
    this.loupe.hidden = true;
    this.draw();
  }

  /** Add a box, unless it is too small to hold anything. */
  private insert(rect: Rect): boolean {
    const label = this.labels[this.active];
    if (!label || rect.width < SMALLEST || rect.height < SMALLEST) return false;
    return this.add({ ...rect, label: label.value });
  }

  private magnify(here: Point): void {
    const pen = this.loupe.getContext("2d");
    if (!pen) return;
    const [width] = this.size;
    const half = 28 * this.scale;
    this.loupe.hidden = false;
    this.loupe.classList.toggle("end", here.x < width / 2);
    this.loupe.classList.toggle("start", here.x >= width / 2);
    pen.fillStyle = "#888";
    pen.fillRect(0, 0, 112, 112);
    pen.drawImage(this.image, here.x - half, here.y - half, 2 * half, 2 * half, 0, 0, 112, 112);
    pen.strokeStyle = "#fff";
    pen.strokeRect(56, 36, 0, 40);
    pen.strokeRect(36, 56, 40, 0);
  }

  protected get invitation(): [string, string] {
    return [t("Boxes"), t("Drag on the image to draw a box.")];
  }

  protected words(box: Box, place: number): [string, string] {
    return [t("Box {number}, {label}", { number: place + 1, label: this.name(box) }), `${box.width} × ${box.height}`];
  }

  protected moved(event: KeyboardEvent): boolean {
    const box = this.marks[this.chosen];
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!box || !way) return false;
    const step = event.shiftKey ? 10 : 1;
    const [dx, dy] = [(way[0] as number) * step, (way[1] as number) * step];
    const run = `${event.altKey ? "grow" : "shift"} ${this.chosen}`;
    this.change(() => Object.assign(box, (event.altKey ? grow : shift)(box, dx, dy, ...this.size)), "", run);
    return true;
  }

  protected draw(): void {
    const [width, height] = this.size;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const scale = this.scale;
    const drawn: SVGElement[] = [];
    const outline = (rect: Rect, tint: string, on: boolean): void => {
      const place = { x: rect.x, y: rect.y, width: rect.width, height: rect.height };
      drawn.push(shape("rect", { ...place, class: `halo ${tint}` }), shape("rect", { ...place, class: on ? `on ${tint}` : tint }));
    };
    for (const [place, box] of this.marks.entries()) {
      const on = place === this.chosen;
      outline(box, this.tint(box), on);
      const text = shape("text", { x: box.x + 4 * scale, y: Math.max(box.y - 5 * scale, 13 * scale), "font-size": 13 * scale });
      text.textContent = this.name(box);
      drawn.push(text);
      if (on) for (const one of corners(box)) drawn.push(shape("circle", { cx: one.x, cy: one.y, r: 5.5 * scale, class: `grip ${this.tint(box)}` }));
    }
    const next = `l${(this.active % 8) + 1}`;
    if (this.sketch) outline(this.sketch, next, true);
    for (const one of this.taps ?? []) drawn.push(shape("circle", { cx: one.x, cy: one.y, r: 5.5 * scale, class: `grip ${next}` }));
    this.svg.replaceChildren(...drawn);
  }
}

export function start(helpers: Helpers): void {
  define("label-boxes", LabelBoxes, helpers);
}
