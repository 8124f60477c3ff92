// What was done to one item, step by step: each step can be taken back and done again. A state is what the item's
// controls hold. Typing in one field, or nudging one box, is a single step as long as it goes on without a pause.
const PAUSE_MS = 1000;

export class History {
  private readonly past: string[] = [];
  private future: string[] = [];
  private run = "";
  private last = 0;

  constructor(public state: string) {}

  /** Nothing was done here yet, and nothing was taken back. */
  get untouched(): boolean {
    return !this.past.length && !this.future.length;
  }

  get undoable(): boolean {
    return this.past.length > 0;
  }

  get redoable(): boolean {
    return this.future.length > 0;
  }

  /** Take over a new state. `run` names what may go on as one step, and is empty for what stands by itself. */
  note(state: string, run: string, at: number): void {
    if (state === this.state) return;
    const goesOn = run !== "" && run === this.run && at - this.last <= PAUSE_MS;
    if (!goesOn) this.past.push(this.state);
    this.state = state;
    this.future = [];
    this.run = run;
    this.last = at;
  }

  undo(): string | null {
    return this.step(this.past, this.future);
  }

  redo(): string | null {
    return this.step(this.future, this.past);
  }

  private step(from: string[], to: string[]): string | null {
    const state = from.pop();
    if (state === undefined) return null;
    to.push(this.state);
    this.state = state;
    this.run = "";
    return state;
  }
}
