// What marking words and drawing boxes share: labels, the list of marks, and the hidden input that carries the answer.
// The page's own styles reach in, since nothing hides in a shadow tree. The workspace hands its helpers over at the
// start: an import would split its script in two and cost each page a request. It also keeps the steps that undo takes
// back, and asks for a new look by a `refill` event.
import type * as Dom from "../dom";
import type * as Messages from "../messages";

export interface Helpers {
  make: typeof Dom.make;
  t: typeof Messages.t;
}

export let make: Helpers["make"];
export let t: Helpers["t"];

export function define(name: string, element: CustomElementConstructor, helpers: Helpers): void {
  ({ make, t } = helpers);
  if (!customElements.get(name)) customElements.define(name, element);
}

export interface Label {
  value: string;
  label: string;
  key: string;
}

export interface Mark {
  label: string;
}

export abstract class MarksElement<M extends Mark> extends HTMLElement {
  protected marks: M[] = [];
  protected labels: Label[] = [];
  protected source = "";
  /** The label of the next mark. */
  protected active = 0;
  /** The selected mark: a label's key, Delete and the arrows mean it. */
  protected chosen = -1;
  private most = 1000;
  private readonly palette = make("div", { class: "palette", role: "group", "aria-label": t("Labels") });
  private readonly list = make("section", { class: "card marklist" });
  private readonly said = make("p", { class: "sr", role: "status" });

  connectedCallback(): void {
    if (this.list.isConnected) return;
    const config = JSON.parse(this.querySelector("script")?.textContent ?? "{}") as {
      labels: Label[];
      max: number | null;
      source: string;
    };
    this.labels = config.labels;
    this.source = config.source;
    this.most = config.max ?? this.most;
    this.marks = this.held();
    this.build();
    this.palette.append(...this.labels.map((label, place) => this.choice(label, place)));
    this.append(make("div", { class: "side" }, this.palette, this.list), this.said);
    this.input.addEventListener("refill", () => this.refill());
    this.addEventListener("keydown", (event) => this.pressed(event));
    // A click on a tool leaves the focus where the work is, so that Enter and the arrows go on meaning the work.
    this.addEventListener("mousedown", (event) => {
      if ((event.target as Element).closest("button")) event.preventDefault();
    });
    this.paint();
  }

  protected get input(): HTMLInputElement {
    return this.querySelector<HTMLInputElement>("input[type=hidden]") as HTMLInputElement;
  }

  private held(): M[] {
    return JSON.parse(this.input.value || "[]") as M[];
  }

  private refill(): void {
    const count = this.marks.length;
    this.marks = this.held();
    if (this.marks.length !== count) this.chosen = -1;
    this.paint();
  }

  /** Put the drawing surface in order, once. */
  protected abstract build(): void;
  /** Draw the marks on the surface. */
  protected abstract draw(): void;
  /** Where the keys work. */
  protected abstract surface(): HTMLElement | null;
  /** A mark in words, for its row. */
  protected abstract words(mark: M, place: number): [string, string];
  protected abstract moved(event: KeyboardEvent): boolean;
  protected abstract get invitation(): [string, string];

  /** The mark that a label or Delete means now. */
  protected get meant(): number {
    return this.chosen;
  }

  /** Make a mark with a label that was chosen while none was meant; false lets it only be the next mark's. */
  protected marked(): boolean {
    return false;
  }

  protected tint(mark: M): string {
    return `l${(this.labels.findIndex((one) => one.value === mark.label) % 8) + 1}`;
  }

  protected name(mark: M): string {
    return this.labels.find((one) => one.value === mark.label)?.label ?? mark.label;
  }

  /** Change the marks; what goes on under the same `run` is one step for undo. */
  protected change(work: () => void, say = "", run = ""): void {
    work();
    this.input.value = JSON.stringify(this.marks);
    this.input.dispatchEvent(new CustomEvent("input", { bubbles: true, detail: run }));
    this.paint();
    if (say) this.said.textContent = say;
  }

  protected add(mark: M): boolean {
    if (this.marks.length >= this.most) return false;
    this.change(() => this.marks.push(mark), t("{label} marked", { label: this.name(mark) }));
    return true;
  }

  protected drop(place: number): void {
    if (!this.marks[place]) return;
    this.change(() => {
      this.marks.splice(place, 1);
      this.chosen = -1;
    }, t("Removed"));
  }

  protected choose(place: number): void {
    this.chosen = place;
    this.paint();
  }

  private label(place: number): void {
    this.active = place;
    const label = this.labels[place];
    const mark = this.marks[this.meant];
    if (mark && label) {
      this.change(() => {
        mark.label = label.value;
      }, t("{label} marked", { label: label.label }));
    } else if (!this.marked()) this.paint();
  }

  private pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.isComposing) return;
    if ((event.key === "Delete" || event.key === "Backspace") && this.meant >= 0) this.drop(this.meant);
    else if (event.key === "Escape" && this.chosen >= 0) this.choose(-1);
    else if (!this.moved(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  private choice(label: Label, place: number): HTMLElement {
    const key = label.key.toLowerCase();
    const hint = key ? [make("kbd", { class: "keyhint", "aria-hidden": "true" }, label.key)] : [];
    const attributes = { type: "button", class: `button l${(place % 8) + 1}`, ...(key ? { "data-key": key } : {}) };
    const button = make("button", attributes, make("span", { class: "dot" }), label.label, ...hint);
    button.onclick = () => this.label(place);
    return button;
  }

  /** Draw everything anew; the focus stays in its row or comes back to the surface, never to the page's beginning. */
  protected paint(): void {
    const held = this.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
    this.draw();
    for (const [place, button] of [...this.palette.children].entries()) button.ariaPressed = String(place === this.active);
    this.paintList();
    if (!held || this.contains(document.activeElement)) return;
    const row = Object.entries(held.dataset).find(([name]) => name === "pick" || name === "drop");
    const same = row && this.list.querySelector<HTMLElement>(`[data-${row[0]}="${Math.min(Number(row[1]), this.marks.length - 1)}"]`);
    (same ?? this.surface())?.focus({ preventScroll: true });
  }

  private paintList(): void {
    const [head, help] = this.invitation;
    const rows = this.marks.map((mark, place) => {
      const [text, note] = this.words(mark, place);
      const on = place === this.chosen;
      const pick = make(
        "button",
        { type: "button", class: `pickmark ${this.tint(mark)}`, "data-pick": String(place), "aria-pressed": String(on) },
        make("span", { class: "dot" }),
        make("span", {}, text, make("small", {}, note)),
      );
      pick.onclick = () => {
        this.choose(on ? -1 : place);
        // What is selected is worked on where it stands.
        if (!on) this.surface()?.focus();
      };
      const drop = make("button", { type: "button", class: "button plain square", "data-drop": String(place), "aria-label": t("Remove {name}", { name: text }) }, "✕");
      drop.onclick = () => this.drop(place);
      return make("li", on ? { "data-on": "" } : {}, pick, drop);
    });
    const title = make("h3", {}, `${head} `, make("span", {}, String(this.marks.length)));
    const body = rows.length ? make("ol", {}, ...rows) : make("p", { class: "small muted" }, help);
    const full = this.marks.length < this.most ? [] : [make("p", { class: "small muted" }, t("No more than {count} here", { count: this.most }))];
    this.list.replaceChildren(title, body, ...full);
  }
}
