import { describe, expect, test } from "vitest";
import type { Line, Reply } from "../src/net";
import { type Entry, MemoryStore, type News, Outbox, pause, reason, verdict } from "../src/outbox";

const lock = <T>(work: () => Promise<T>): Promise<T> => work();

function entry(name: string): Entry {
  return { kind: "answer", batch: "b", assignment: name, url: `/api/v1/assignments/${name}/answer`, body: { submission_id: name } };
}

class Script implements Line {
  readonly calls: string[] = [];
  constructor(private readonly statuses: (number | Reply)[]) {}
  async send(method: string, url: string): Promise<Reply> {
    this.calls.push(`${method} ${url}`);
    const next = this.statuses.shift() ?? 200;
    return typeof next === "number" ? { status: next, body: {} } : next;
  }
}

function box(line: Line, renews = false) {
  const store = new MemoryStore();
  const told: News[] = [];
  const stored: string[] = [];
  const outbox = new Outbox(store, line, lock, {
    along: () => "",
    news: (news) => told.push(news),
    stored: (one) => stored.push(one.assignment),
    renew: async () => renews,
  });
  return { store, outbox, told, stored };
}

describe("the outbox", () => {
  test("sends in order, each once, and forgets what is stored", async () => {
    const line = new Script([]);
    const { store, outbox, told, stored } = box(line);
    await store.add(entry("a"));
    await store.add(entry("b"));
    await outbox.flush();
    expect(stored).toEqual(["a", "b"]);
    expect(line.calls).toHaveLength(2);
    expect(await store.all()).toEqual([]);
    expect(told.at(-1)).toEqual({ state: "saved", waiting: [], refused: [] });
  });

  test("keeps the same submission over a broken connection", async () => {
    const line = new Script([0]);
    const { store, outbox, told } = box(line);
    await store.add(entry("a"));
    await outbox.flush();
    expect(told.at(-1)?.state).toBe("offline");
    expect((await store.all())[0]?.body).toEqual({ submission_id: "a" });
    await outbox.flush();
    expect(await store.all()).toEqual([]);
  });

  test("keeps everything when the sign-in has ended, and goes on once it is renewed", async () => {
    const shut = box(new Script([401]));
    await shut.store.add(entry("a"));
    await shut.outbox.flush();
    expect(shut.told.at(-1)).toMatchObject({ state: "signed-out", waiting: [{ assignment: "a" }] });
    const again = box(new Script([403, 200]), true);
    await again.store.add(entry("a"));
    await again.outbox.flush();
    expect(again.stored).toEqual(["a"]);
  });

  test("keeps and shows a refusal, sends the others, and tries it again on request", async () => {
    const line = new Script([{ status: 409, body: { detail: "Somebody closed this." } }]);
    const { store, outbox, told, stored } = box(line);
    await store.add(entry("a"));
    await store.add(entry("b"));
    await outbox.flush();
    expect(stored).toEqual(["b"]);
    expect(told.at(-1)).toMatchObject({ state: "refused", refused: [{ assignment: "a", refused: "Somebody closed this." }] });
    await outbox.retry(told.at(-1)?.refused[0] as Entry);
    expect(stored).toEqual(["b", "a"]);
    expect(told.at(-1)?.state).toBe("saved");
  });

  test("says in the server's words why, with what is wrong in detail", () => {
    const problems = [{ pointer: "/things/0/width", message: "the width is 0." }, {}];
    expect(reason({ status: 422, body: { detail: "It does not fit.", problems } })).toBe("It does not fit. the width is 0.");
    expect(reason({ status: 413, body: {} })).toBe("413");
  });

  test("a changed answer takes the place of the refused one, and a discarded one is gone", async () => {
    const line = new Script([422, 422]);
    const { store, outbox, told, stored } = box(line);
    await store.add(entry("a"));
    await store.add(entry("b"));
    await outbox.flush();
    expect(told.at(-1)?.refused.map((one) => one.assignment)).toEqual(["a", "b"]);
    await outbox.add({ ...entry("a"), body: { submission_id: "again" } });
    await outbox.flush();
    expect(stored).toEqual(["a"]);
    await outbox.discard(told.at(-1)?.refused[0] as Entry);
    expect(await store.all()).toEqual([]);
    expect(told.at(-1)).toEqual({ state: "saved", waiting: [], refused: [] });
    expect(line.calls).toHaveLength(3);
  });

  test("a 403 that stays after a renewal is a refusal, not an endless loop", async () => {
    const line = new Script([403, 403]);
    const { store, outbox } = box(line, true);
    await store.add(entry("a"));
    await outbox.flush();
    expect((await store.all())[0]?.refused).toBe("403");
    expect(line.calls).toHaveLength(2);
  });
});

test("only a clear refusal ends the attempts", () => {
  expect([200, 201, 0, 408, 429, 500, 503, 401, 403, 400, 404, 409, 422].map(verdict)).toEqual([
    "stored", "stored", "later", "later", "later", "later", "later", "signed-out", "signed-out", "refused", "refused", "refused", "refused",
  ]);
});

test("pauses double up to a minute", () => {
  expect([1, 2, 3, 10].map(pause)).toEqual([2000, 4000, 8000, 60000]);
});
