// The pay meter: takes over what the server computed. It moves when an answer is stored and at no other moment.
import { make } from "./dom";

export interface Meter {
  pay: string;
  /** Empty until there is one. */
  pace: string;
  floor: string;
  ok: boolean;
  gauge: number;
  floor_mark: number;
  lines: { label: string; value: string; strong?: boolean }[];
}

export function isMeter(value: unknown): value is Meter {
  return typeof value === "object" && value !== null && "pay" in value && "pace" in value;
}

export function show(meter: Meter, root: HTMLElement): void {
  for (const spot of root.querySelectorAll<HTMLElement>("[data-meter]")) {
    const value = meter[spot.dataset["meter"] as keyof Meter];
    if (typeof value === "string") spot.textContent = value;
  }
  root.querySelector("[data-ok]")?.setAttribute("data-ok", String(meter.ok));
  root.querySelector(".gauge")?.classList.toggle("under", !meter.ok);
  root.querySelector("[data-meter-gauge]")?.setAttribute("width", String(meter.gauge));
  root.querySelector("[data-meter-floor]")?.setAttribute("x", String(meter.floor_mark));
  root.querySelector("#meter-lines")?.replaceChildren(
    ...meter.lines.map((line) =>
      make("div", line.strong ? { class: "due" } : {}, make("dt", {}, line.label), make("dd", {}, line.value)),
    ),
  );
}
