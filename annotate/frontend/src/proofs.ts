// Proofs of work: at most every half minute, one boolean, "something happened since the last". Which key, where the
// pointer was or how fast somebody works is never looked at, so it can never be sent.
import type { Line } from "./net";

export interface Proof {
  assignment_id: string;
  kind: "proof" | "hidden" | "visible" | "pause" | "resume";
  active: boolean;
  sequence: number;
}

export class Proofs {
  private touched = false;
  private resting = false;

  constructor(
    private readonly line: Line,
    private readonly url: string,
    private readonly assignment: () => string,
    private readonly number: () => number,
  ) {}

  touch(): void {
    this.touched = true;
  }

  /** Called every half minute. */
  beat(visible: boolean): void {
    if (!visible || this.resting || !this.touched) return;
    this.touched = false;
    this.send("proof");
  }

  seen(visible: boolean): void {
    if (!this.resting) this.send(visible ? "visible" : "hidden");
  }

  rest(resting: boolean): void {
    if (resting === this.resting) return;
    this.resting = resting;
    this.touched = false;
    this.send(resting ? "pause" : "resume");
  }

  private send(kind: Proof["kind"]): void {
    const assignment_id = this.assignment();
    if (!assignment_id) return;
    const proof: Proof = { assignment_id, kind, active: true, sequence: this.number() };
    void this.line.send("POST", this.url, proof, true);
  }
}

/** Number a person's signs, over all pages and tabs of a device. */
export function numbers(user: string): () => number {
  const key = `fairlabel:sequence:${user}`;
  return () => {
    const number = Number(localStorage.getItem(key) ?? 0) + 1;
    localStorage.setItem(key, String(number));
    return number;
  };
}

/** Let the page's own events be the signs, each for no more than that it happened. */
export function follow(proofs: Proofs, every: number): void {
  const visible = (): boolean => document.visibilityState === "visible";
  for (const sign of ["pointerdown", "pointermove", "keydown", "scroll", "input"]) {
    addEventListener(sign, () => proofs.touch(), { passive: true, capture: true });
  }
  setInterval(() => proofs.beat(visible()), every);
  document.addEventListener("visibilitychange", () => proofs.seen(visible()));
}
