// Reading an answer out of the item's native controls and putting an earlier one back.
import { byId } from "./dom";
import { t } from "./messages";

export type Answer = Record<string, unknown>;
export type Wrong = { field: HTMLElement; text: string };

type Control = HTMLInputElement | HTMLTextAreaElement;

function fieldsOf(item: ParentNode): HTMLElement[] {
  return [...item.querySelectorAll<HTMLElement>("[data-field]")];
}

function controls(field: HTMLElement): Control[] {
  return [...field.querySelectorAll<Control>("[name^='answer.']")];
}

function ticks(control: Control): control is HTMLInputElement {
  return control instanceof HTMLInputElement && /radio|checkbox/.test(control.type);
}

/** One field's value, or undefined where it has none. Marks are always a list: none is an answer, too. */
export function valueOf(field: HTMLElement): unknown {
  const all = controls(field);
  const chosen = all.filter((one) => one instanceof HTMLInputElement && one.checked).map((one) => one.value);
  const text = all[0]?.value ?? "";
  switch (field.dataset["kind"]) {
    case "choice":
      return chosen[0];
    case "choices":
      return chosen.length ? chosen : undefined;
    case "rating":
      return chosen[0] === undefined ? undefined : Number(chosen[0]);
    case "number":
      return text === "" ? undefined : Number(text);
    case "spans":
    case "boxes":
      return text ? (JSON.parse(text) as unknown) : [];
    default:
      return text.trim() ? text : undefined;
  }
}

export function read(item: ParentNode): { answer: Answer; wrong: Wrong[] } {
  const answer: Answer = {};
  const wrong: Wrong[] = [];
  for (const field of fieldsOf(item)) {
    const value = valueOf(field);
    const bad = controls(field).find((one) => !one.validity.valid);
    if ("broken" in field.dataset) wrong.push({ field, text: t("The picture does not load.") });
    else if (bad) wrong.push({ field, text: bad.validationMessage || t("Please check this value") });
    else if (value !== undefined) answer[field.dataset["field"] as string] = value;
    else if ("required" in field.dataset) wrong.push({ field, text: t("Answer this first") });
  }
  return { answer, wrong };
}

export function fill(item: ParentNode, answer: Answer): void {
  for (const field of fieldsOf(item)) {
    const value = answer[field.dataset["field"] as string];
    if (value === undefined) continue;
    const wanted = Array.isArray(value) ? value.map(String) : [String(value)];
    for (const control of controls(field)) {
      if (ticks(control)) control.checked = wanted.includes(control.value);
      else control.value = typeof value === "object" ? JSON.stringify(value) : String(value);
    }
  }
}

/** All that an item's controls hold, also what is half done or wrong and so no part of an answer. */
export function snapshot(item: ParentNode): string {
  return JSON.stringify(fieldsOf(item).flatMap(controls).map((control) => (ticks(control) ? control.checked : control.value)));
}

/** Put a snapshot back; what draws its own value is told. */
export function restore(item: ParentNode, state: string): void {
  const held = JSON.parse(state) as (string | boolean)[];
  for (const [place, control] of fieldsOf(item).flatMap(controls).entries()) {
    const value = held[place];
    if (ticks(control)) control.checked = value === true;
    else if (control.value !== value) {
      control.value = String(value);
      control.dispatchEvent(new Event("refill"));
    }
  }
}

/** Say beside each field what is missing, and go to the first. */
export function complain(item: ParentNode, wrong: Wrong[]): void {
  for (const field of fieldsOf(item)) {
    const found = wrong.find((one) => one.field === field);
    const line = byId(`wrong-${field.dataset["field"]}`);
    line.textContent = found?.text ?? "";
    line.hidden = !found;
  }
  const first = wrong[0]?.field;
  first?.querySelector<HTMLElement>(".broken button, input:not([type=hidden]), textarea, [tabindex='0']")?.focus({ preventScroll: true });
  first?.scrollIntoView({ block: "nearest" });
}
