// The outbox: what a worker has done stands here, on the device, before it is sent, and leaves only when the server
// has said that it is stored. A refused entry is kept and shown. One sender at a time over all tabs of a person.
import type { Line, Reply } from "./net";

export interface Entry {
  id?: number;
  kind: "answer" | "skip";
  batch: string;
  assignment: string;
  url: string;
  body: Record<string, unknown>;
  /** What the item looked like, so that an answer can be opened again and changed. */
  html?: string;
  refused?: string;
}

export interface Store {
  add(entry: Entry): Promise<number>;
  put(entry: Entry): Promise<void>;
  remove(id: number): Promise<void>;
  all(): Promise<Entry[]>;
}

/** Where IndexedDB is refused (some private windows): kept as long as the page is open. */
export class MemoryStore implements Store {
  private readonly entries = new Map<number, Entry>();
  private last = 0;

  async add(entry: Entry): Promise<number> {
    this.last += 1;
    this.entries.set(this.last, { ...entry, id: this.last });
    return this.last;
  }

  async put(entry: Entry): Promise<void> {
    if (entry.id !== undefined) this.entries.set(entry.id, entry);
  }

  async remove(id: number): Promise<void> {
    this.entries.delete(id);
  }

  async all(): Promise<Entry[]> {
    return [...this.entries.values()];
  }
}

export class DeviceStore implements Store {
  private constructor(private readonly database: IDBDatabase) {}

  /** The name carries the user's id: on a shared phone nobody sends another person's answers. */
  static open(user: string): Promise<Store> {
    return new Promise((done) => {
      const memory = (): void => done(new MemoryStore());
      try {
        const asked = indexedDB.open(`fairlabel-${user}`, 1);
        asked.onupgradeneeded = () => asked.result.createObjectStore("outbox", { keyPath: "id", autoIncrement: true });
        asked.onsuccess = () => done(new DeviceStore(asked.result));
        asked.onerror = memory;
      } catch {
        memory();
      }
    });
  }

  private run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((done, failed) => {
      const transaction = this.database.transaction("outbox", mode, { durability: "strict" });
      const asked = ask(transaction.objectStore("outbox"));
      transaction.oncomplete = () => done(asked.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  }

  async add(entry: Entry): Promise<number> {
    return Number(await this.run("readwrite", (store) => store.add(entry)));
  }

  async put(entry: Entry): Promise<void> {
    await this.run("readwrite", (store) => store.put(entry));
  }

  async remove(id: number): Promise<void> {
    await this.run("readwrite", (store) => store.delete(id));
  }

  all(): Promise<Entry[]> {
    return this.run("readonly", (store) => store.getAll() as IDBRequest<Entry[]>);
  }
}

export type State = "saved" | "sending" | "offline" | "signed-out" | "refused";

export interface News {
  state: State;
  waiting: Entry[];
  refused: Entry[];
}

type Verdict = "stored" | "later" | "signed-out" | "refused";

/** What a reply means for the entry; only a clear refusal stops it from being tried again. */
export function verdict(status: number): Verdict {
  if (status >= 200 && status < 300) return "stored";
  if (status === 401 || status === 403) return "signed-out";
  if (status === 0 || status === 408 || status === 425 || status === 429 || status >= 500) return "later";
  return "refused";
}

/** Why an entry was refused, in the server's words: the problem, and what is wrong in detail. */
export function reason(reply: Reply): string {
  const problems = Array.isArray(reply.body["problems"]) ? (reply.body["problems"] as { message?: string }[]) : [];
  const said = [reply.body["detail"], ...problems.map((one) => one.message)].filter((one) => typeof one === "string" && one);
  return said.join(" ") || String(reply.status);
}

export function pause(failures: number): number {
  return Math.min(60_000, 2_000 * 2 ** Math.max(0, failures - 1));
}

export class Outbox {
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy: Promise<void> | undefined;
  private again = false;

  constructor(
    private readonly store: Store,
    private readonly line: Line,
    private readonly lock: <T>(work: () => Promise<T>) => Promise<T>,
    private readonly hear: {
      news(news: News): void;
      stored(entry: Entry, reply: Reply): void;
      /** What is asked for or told along with an entry: a query, or nothing. */
      along(entry: Entry): string;
      /** Called on 401 and 403; true says that the sign-in was renewed and sending may go on. */
      renew(): Promise<boolean>;
    },
  ) {}

  /** Resolves when the entry is safe on the device; it takes the place of refused ones of its assignment. */
  async add(entry: Entry): Promise<void> {
    const before = await this.store.all();
    await this.store.add(entry);
    for (const one of before) if (one.refused && one.assignment === entry.assignment) await this.store.remove(one.id as number);
    void this.flush();
  }

  all(): Promise<Entry[]> {
    return this.store.all();
  }

  /** Send a refused entry once more. */
  async retry({ refused, ...entry }: Entry): Promise<void> {
    await this.store.put(entry);
    await this.flush();
  }

  /** Give a refused entry up, on the person's word alone. */
  async discard(entry: Entry): Promise<void> {
    await this.store.remove(entry.id as number);
    await this.flush();
  }

  /** Send what waits. Calls during a run make it look once more at its end. */
  flush(): Promise<void> {
    this.again = true;
    this.busy ??= this.run().finally(() => {
      this.busy = undefined;
    });
    return this.busy;
  }

  private async run(): Promise<void> {
    clearTimeout(this.timer);
    while (this.again) {
      this.again = false;
      const state = await this.lock(() => this.drain());
      await this.tell(state);
      if (state === "offline") {
        this.failures += 1;
        this.timer = setTimeout(() => void this.flush(), pause(this.failures));
        return;
      }
      if (state === "signed-out") return;
      this.failures = 0;
    }
  }

  private async drain(): Promise<State> {
    let renewed = false;
    for (;;) {
      const entries = await this.store.all();
      const next = entries.find((entry) => !entry.refused);
      if (!next) return entries.length ? "refused" : "saved";
      await this.tell("sending");
      const reply = await this.line.send(next.kind === "answer" ? "PUT" : "POST", next.url + this.hear.along(next), next.body);
      const meaning = verdict(reply.status);
      if (meaning === "stored") {
        await this.store.remove(next.id as number);
        this.hear.stored(next, reply);
      } else if (meaning === "later") {
        return "offline";
      } else if (meaning === "signed-out" && !renewed && (await this.hear.renew())) {
        renewed = true;
      } else if (meaning === "signed-out" && !(renewed && reply.status === 403)) {
        return "signed-out";
      } else {
        await this.store.put({ ...next, refused: reason(reply) });
      }
    }
  }

  private async tell(state: State): Promise<void> {
    const entries = await this.store.all();
    const refused = entries.filter((entry) => entry.refused);
    this.hear.news({ state, waiting: entries.filter((entry) => !entry.refused), refused });
  }
}
