// What marking words and drawing boxes share: labels, the list of marks, one's own undo, and the hidden input that
// carries the answer. The page's own styles reach in, since nothing hides in a shadow tree. The workspace hands its
// helpers over at the start: an import would split its script in two and cost each page a request.
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
  protected active = 0;
  protected chosen = -1;
  /** A mark just made can be adjusted, but a label's key means the next mark until this one is chosen on purpose. */
  protected settled = false;
  private most = 1000;
  private readonly earlier: string[] = [];
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
    this.marks = JSON.parse(this.input.value || "[]") as M[];
    this.build();
    this.append(make("div", { class: "side" }, this.palette, this.list), this.said);
    this.addEventListener("undo", (event) => {
      const last = this.earlier.pop();
      if (last === undefined) return;
      event.preventDefault();
      this.marks = JSON.parse(last) as M[];
      this.chosen = -1;
      this.store();
    });
    this.addEventListener("keydown", (event) => this.pressed(event));
    this.paint();
  }

  protected get input(): HTMLInputElement {
    return this.querySelector<HTMLInputElement>("input[type=hidden]") as HTMLInputElement;
  }

  /** Put the drawing surface in order, once. */
  protected abstract build(): void;
  /** Draw the marks on the surface. */
  protected abstract draw(): void;
  /** A mark in words, for its row. */
  protected abstract words(mark: M, place: number): [string, string];
  /** What the surface does when a label is chosen; false lets it only become the active one. */
  protected abstract labelled(label: Label): boolean;
  protected abstract moved(event: KeyboardEvent): boolean;
  protected abstract get invitation(): [string, string];

  protected tint(mark: M): string {
    return `l${(this.labels.findIndex((one) => one.value === mark.label) % 8) + 1}`;
  }

  protected name(mark: M): string {
    return this.labels.find((one) => one.value === mark.label)?.label ?? mark.label;
  }

  protected change(work: () => void, say = ""): void {
    this.earlier.push(JSON.stringify(this.marks));
    work();
    this.store();
    if (say) this.said.textContent = say;
  }

  protected add(mark: M): void {
    if (this.marks.length >= this.most) return;
    this.change(() => {
      this.marks.push(mark);
      this.chosen = this.marks.length - 1;
      this.settled = false;
    }, t("{label} marked", { label: this.name(mark) }));
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
    this.settled = true;
    this.paint();
  }

  private store(): void {
    this.input.value = JSON.stringify(this.marks);
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    this.paint();
  }

  private pressed(event: KeyboardEvent): void {
    if (event.metaKey || event.isComposing) return;
    if (event.ctrlKey) {
      if (event.key.toLowerCase() !== "z") return;
      this.dispatchEvent(new CustomEvent("undo", { cancelable: true }));
    } else if ((event.key === "Delete" || event.key === "Backspace") && this.chosen >= 0) this.drop(this.chosen);
    else if (event.key === "Escape" && this.chosen >= 0) this.choose(-1);
    else if (!this.moved(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  protected paint(): void {
    this.draw();
    this.palette.replaceChildren(
      ...this.labels.map((label, place) => {
        const key = label.key.toLowerCase();
        const hint = key ? [make("kbd", { class: "keyhint", "aria-hidden": "true" }, label.key)] : [];
        const button = make(
          "button",
          { type: "button", class: `button l${(place % 8) + 1}`, "aria-pressed": String(place === this.active), ...(key ? { "data-key": key } : {}) },
          make("span", { class: "dot" }),
          label.label,
          ...hint,
        );
        button.onclick = () => {
          this.active = place;
          if (!this.labelled(label)) this.paint();
        };
        return button;
      }),
    );
    this.paintList();
  }

  private paintList(): void {
    const held = this.list.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["place"] : undefined;
    const [head, help] = this.invitation;
    const rows = this.marks.map((mark, place) => {
      const [text, note] = this.words(mark, place);
      const pick = make(
        "button",
        { type: "button", class: `pickmark ${this.tint(mark)}`, "data-place": String(place), "aria-pressed": String(place === this.chosen) },
        make("span", { class: "dot" }),
        make("span", {}, text, make("small", {}, note)),
      );
      pick.onclick = () => this.choose(place === this.chosen ? -1 : place);
      const drop = make("button", { type: "button", class: "button plain square", "aria-label": t("Remove {name}", { name: text }) }, "✕");
      drop.onclick = () => this.drop(place);
      return make("li", place === this.chosen ? { "data-on": "" } : {}, pick, drop);
    });
    const title = make("h3", {}, `${head} `, make("span", {}, String(this.marks.length)));
    const body = rows.length ? make("ol", {}, ...rows) : make("p", { class: "small muted" }, help);
    this.list.replaceChildren(title, body);
    if (held) this.list.querySelector<HTMLElement>(`[data-place="${held}"]`)?.focus();
  }
}
