// Single keys work through `data-key` on the element they stand for; never in text boxes, never with a modifier,
// and the person can switch them off.
export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
  isComposing: boolean;
}

export type Place = "text" | "control" | "page";

const TEXT = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=button], [type=submit])";

export function placeOf(target: EventTarget | null): Place {
  if (!(target instanceof Element)) return "page";
  if (target.closest(TEXT)) return "text";
  return target.closest("button, a[href], summary, [role=button]") ? "control" : "page";
}

/** What a key press asks for: "submit", "undo", "redo", a single key's name, or none of our business. */
export function meaning(press: Press, place: Place, single: boolean): string | null {
  if (press.isComposing || press.altKey) return null;
  const command = press.ctrlKey || press.metaKey;
  const key = press.key.toLowerCase();
  if (key === "enter") return command || place === "page" ? "submit" : null;
  // A text box takes back its own typing, letter by letter.
  if (place === "text") return null;
  if (command) return key === "y" || (key === "z" && press.shiftKey) ? "redo" : key === "z" ? "undo" : null;
  return single && key.length === 1 && key !== " " ? key : null;
}

/** The element a key stands for: in the open menu first, so that its numbers are not the item's. */
export function bearer(root: ParentNode, key: string): HTMLElement | null {
  for (const open of root.querySelectorAll("details.menu[open] > .panel")) {
    const inside = find(open, key);
    if (inside) return inside;
  }
  const shut = [...root.querySelectorAll<HTMLElement>("[data-key]")];
  return shut.find((one) => one.dataset["key"] === key && !one.hidden && !one.closest("details.menu > .panel, [inert]")) ?? null;
}

function find(root: ParentNode, key: string): HTMLElement | null {
  return [...root.querySelectorAll<HTMLElement>("[data-key]")].find((one) => one.dataset["key"] === key) ?? null;
}
