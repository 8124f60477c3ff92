// <label-spans>: tap a word or drag over words; or walk with the arrows, widen with Shift, choose with a label's key.
import { define, type Helpers, make, MarksElement, t } from "./marks";
import { cut, type Piece, type Span, trim, words } from "./offsets";

class LabelSpans extends MarksElement<Span> {
  private text!: HTMLElement;
  private readonly tools = make("div", { class: "tools", hidden: "" });
  private pieces: Piece[] = [];
  private from = -1;
  private to = -1;
  /** Where the keys stand in the text, as the offset of a piece; none while a pointer works. */
  private caret = -1;

  protected build(): void {
    this.text = this.querySelector("[data-text]") as HTMLElement;
    this.text.classList.add("words");
    this.pieces = words(this.source, document.documentElement.lang);
    this.text.after(this.tools);
    this.text.addEventListener("pointerdown", (event) => {
      const place = this.place(event.target);
      this.caret = -1;
      if (event.button !== 0 || place < 0) return;
      this.text.setPointerCapture(event.pointerId);
      [this.from, this.to] = [place, place];
      this.trace();
    });
    this.text.addEventListener("pointermove", (event) => {
      if (this.from < 0) return;
      const place = this.place(document.elementFromPoint(event.clientX, event.clientY));
      if (place >= 0 && place !== this.to) {
        this.to = place;
        this.trace();
      }
    });
    this.text.addEventListener("pointerup", () => this.release());
    this.text.addEventListener("pointercancel", () => {
      this.from = this.to = -1;
      this.trace();
    });
    this.text.addEventListener("focusin", (event) => {
      const piece = this.shown()[this.place(event.target)];
      if (piece && event.relatedTarget && this.from < 0) this.caret = piece.start;
    });
  }

  protected get invitation(): [string, string] {
    return [t("Marked"), t("Tap a word or drag over words to mark them.")];
  }

  protected words(mark: Span): [string, string] {
    return [this.slice(mark.start, mark.end), this.name(mark)];
  }

  private slice(start: number, end: number): string {
    return [...this.source].slice(start, end).join("");
  }

  private place(target: EventTarget | null): number {
    const found = target instanceof Element ? target.closest<HTMLElement>("[data-w]") : null;
    return found && this.text.contains(found) ? Number(found.dataset["w"]) : -1;
  }

  private span(place: number): HTMLElement | null {
    return this.text.querySelector(`[data-w="${place}"]`);
  }

  private shown(): Piece[] {
    return cut(this.pieces, this.marks);
  }

  private trace(): void {
    const [low, high] = [Math.min(this.from, this.to), Math.max(this.from, this.to)];
    for (const one of this.text.querySelectorAll<HTMLElement>("[data-w]")) {
      const place = Number(one.dataset["w"]);
      one.classList.toggle("drag", this.from >= 0 && place >= low && place <= high);
    }
  }

  private release(): void {
    if (this.from < 0) return;
    const [low, high] = [Math.min(this.from, this.to), Math.max(this.from, this.to)];
    this.from = this.to = -1;
    const shown = this.shown();
    const [first, last] = [shown[low], shown[high]];
    if (!first || !last) return;
    const touched = low === high ? this.markAt(first) : -1;
    if (touched >= 0) this.choose(touched);
    else this.mark(first.start, last.end);
  }

  private mark(start: number, end: number): void {
    const [from, to] = trim(this.source, start, end);
    const label = this.labels[this.active];
    if (from >= to || !label) {
      this.paint();
      return;
    }
    const clear = this.marks.filter((one) => one.end <= from || one.start >= to);
    if (clear.length === this.marks.length) this.add({ start: from, end: to, label: label.value });
    else {
      // A text's word bears one label here: a new mark takes the place of those it touches, and undo brings them back.
      this.change(() => {
        this.marks = [...clear, { start: from, end: to, label: label.value }];
        this.chosen = -1;
      }, t("{label} marked", { label: label.label }));
    }
  }

  protected surface(): HTMLElement | null {
    const mark = this.marks[this.chosen];
    const word = mark ? this.span(this.holding(mark.start)) : null;
    return word ?? this.text.querySelector("[tabindex='0']");
  }

  /** Whoever walks through the words means the mark they stand in, if they have selected none. */
  protected override get meant(): number {
    if (this.chosen >= 0 || this.from >= 0) return this.chosen;
    return this.walking ? this.markAt(this.shown()[this.holding(this.caret)]) : -1;
  }

  private get walking(): boolean {
    return this.caret >= 0 && this.text.contains(document.activeElement);
  }

  /** Which of the shown pieces holds an offset. */
  private holding(offset: number): number {
    return this.shown().findIndex((piece) => piece.start <= offset && offset < piece.end);
  }

  private markAt(piece: Piece | undefined): number {
    return piece ? this.marks.findIndex((mark) => piece.start >= mark.start && piece.end <= mark.end) : -1;
  }

  protected override marked(): boolean {
    if (!this.walking) return false;
    this.markCaret();
    return true;
  }

  private markCaret(): void {
    const shown = this.shown();
    const here = this.holding(this.caret);
    const anchor = this.from < 0 ? here : this.from;
    const [first, last] = [shown[Math.min(anchor, here)], shown[Math.max(anchor, here)]];
    this.from = this.to = -1;
    if (!first || !last) return;
    this.caret = last.start;
    this.mark(first.start, last.end);
  }

  private walk(place: number): void {
    this.caret = this.shown()[place]?.start ?? -1;
    for (const one of this.text.querySelectorAll<HTMLElement>("[data-w]")) one.tabIndex = Number(one.dataset["w"]) === place ? 0 : -1;
    this.span(place)?.focus();
  }

  protected moved(event: KeyboardEvent): boolean {
    const here = this.place(event.target);
    if (here < 0) return false;
    const shown = this.shown();
    if (event.key === " ") {
      this.caret = shown[here]?.start ?? -1;
      const inside = this.from < 0 ? this.markAt(shown[here]) : -1;
      if (inside >= 0) this.choose(inside);
      else this.markCaret();
      return true;
    }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return false;
    let place = here + step;
    while (shown[place] && !shown[place]?.word) place += step;
    if (!shown[place]) return true;
    if (event.shiftKey) {
      if (this.from < 0) this.from = here;
      this.to = place;
    } else this.from = this.to = -1;
    this.trace();
    this.walk(place);
    return true;
  }

  protected draw(): void {
    const shown = this.shown();
    const focused = this.text.contains(document.activeElement);
    const caret = this.holding(this.caret);
    const children: Node[] = [];
    const firstWord = Math.max(caret, shown.findIndex((piece) => piece.word));
    let held: Span | undefined;
    let holder = this.text;
    for (const [place, piece] of shown.entries()) {
      const word = make("span", { "data-w": String(place), ...(piece.word ? { tabindex: place === firstWord ? "0" : "-1" } : {}) }, piece.text);
      const mark = this.marks.find((one) => piece.start >= one.start && piece.end <= one.end);
      if (mark && mark !== held) {
        const chosen = this.marks.indexOf(mark) === this.chosen;
        holder = make("mark", { class: this.tint(mark), ...(chosen ? { "data-on": "" } : {}) });
        children.push(holder);
      }
      held = mark;
      if (!mark) children.push(word);
      else holder.append(word);
      if (piece.end === mark?.end) holder.append(make("i", {}, this.name(mark)));
    }
    this.text.replaceChildren(...children);
    if (focused) this.span(caret)?.focus();
    this.drawTools();
  }

  private drawTools(): void {
    const mark = this.marks[this.chosen];
    this.tools.hidden = !mark;
    if (!mark) return;
    const length = [...this.source].length;
    const nudge = (title: string, end: "start" | "end"): HTMLElement => {
      const one = (step: number, say: string, sign: string): HTMLElement => {
        const button = make("button", { type: "button", "aria-label": `${title}, ${say}` }, sign);
        button.onclick = () => {
          const [from, to] = end === "start" ? [mark.start + step, mark.end] : [mark.start, mark.end + step];
          const crowded = this.marks.some((other) => other !== mark && other.start < to && other.end > from);
          if (from < 0 || to > length || from >= to || crowded) return;
          this.change(() => Object.assign(mark, { start: from, end: to }));
          [...this.tools.querySelectorAll<HTMLElement>("button")].find((next) => next.ariaLabel === button.ariaLabel)?.focus();
        };
        return button;
      };
      return make("span", { class: "nudge" }, title, one(-1, t("Earlier"), "‹"), one(1, t("Later"), "›"));
    };
    const drop = make("button", { type: "button", class: "button danger" }, t("Remove"));
    drop.onclick = () => this.drop(this.chosen);
    const quoted = make("b", {}, `“${this.slice(mark.start, mark.end)}”`);
    this.tools.replaceChildren(quoted, nudge(t("Start"), "start"), nudge(t("End"), "end"), drop);
  }
}

export function start(helpers: Helpers): void {
  define("label-spans", LabelSpans, helpers);
}
