// The keyboard of the workspace, its list of keys, and menus that close when one looks elsewhere.
import { byId } from "./dom";
import { bearer, meaning, placeOf } from "./keys";

export interface Acts {
  submit(): void;
  undo(): void;
  redo(): void;
}

const KEPT = "fairlabel:keys";

export function keyboard(acts: Acts): void {
  let single = localStorage.getItem(KEPT) !== "off";
  const switched = byId<HTMLInputElement>("single-keys");
  switched.checked = single;
  switched.addEventListener("change", () => {
    single = switched.checked;
    localStorage.setItem(KEPT, single ? "on" : "off");
  });
  const keymap = byId<HTMLDialogElement>("keymap");
  byId("keys").addEventListener("click", () => keymap.showModal());
  document.addEventListener("keydown", (event) => pressed(event, single, acts));
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target as Node)) menu.open = false;
  });
}

function pressed(event: KeyboardEvent, single: boolean, acts: Acts): void {
  if (document.querySelector("dialog[open]")) return;
  const place = placeOf(event.target);
  // Enter in a one-line box would submit natively; a slip of the hand must not.
  if (event.key === "Enter" && place === "text" && !event.ctrlKey && event.target instanceof HTMLInputElement) event.preventDefault();
  if (event.key === "Escape") for (const menu of menus()) menu.open = false;
  const asked = meaning(event, place, single);
  if (asked === "submit" || asked === "undo" || asked === "redo") {
    event.preventDefault();
    if (!event.repeat) acts[asked]();
    return;
  }
  const found = asked && !event.repeat ? bearer(document, asked) : null;
  if (!found) return;
  event.preventDefault();
  found.click();
  if (found instanceof HTMLInputElement) found.focus({ preventScroll: true });
}

function menus(): NodeListOf<HTMLDetailsElement> {
  return document.querySelectorAll("details.menu[open]");
}
