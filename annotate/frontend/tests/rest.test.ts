import { describe, expect, test } from "vitest";
import template from "../../templates/work/workspace.html?raw";
import { History } from "../src/history";
import { meaning } from "../src/keys";
import { learn, t } from "../src/messages";
import { type Proof, Proofs } from "../src/proofs";
import { after } from "../src/upload";
import { between, grow, middle, shift } from "../src/widgets/geometry";
import { cut, trim, words } from "../src/widgets/offsets";

const press = (key: string, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, isComposing: false, ...more });

test("keys mean nothing in text boxes, except Ctrl+Enter", () => {
  expect(meaning(press("1"), "text", true)).toBeNull();
  expect(meaning(press("Enter"), "text", true)).toBeNull();
  expect(meaning(press("Enter", { ctrlKey: true }), "text", true)).toBe("submit");
  expect(meaning(press("Enter"), "page", true)).toBe("submit");
  expect(meaning(press("Enter"), "control", true)).toBeNull();
  expect(meaning(press("Q"), "page", true)).toBe("q");
  expect(meaning(press("q", { ctrlKey: true }), "page", true)).toBeNull();
  expect(meaning(press("1", { isComposing: true }), "page", true)).toBeNull();
  expect(meaning(press("1"), "page", false)).toBeNull();
  expect(meaning(press("Enter"), "page", false)).toBe("submit");
});

test("Ctrl+Enter submits from everywhere; undo and redo leave a text's own typing to the text", () => {
  const command = { ctrlKey: true };
  expect(meaning(press("Enter", command), "control", true)).toBe("submit");
  for (const place of ["page", "control"] as const) {
    expect(meaning(press("z", command), place, false)).toBe("undo");
    expect(meaning(press("Z", { ctrlKey: true, shiftKey: true }), place, false)).toBe("redo");
    expect(meaning(press("y", command), place, false)).toBe("redo");
    expect(meaning(press("z", { metaKey: true }), place, false)).toBe("undo");
  }
  expect(meaning(press("z", command), "text", true)).toBeNull();
  expect(meaning(press("z", { ctrlKey: true, altKey: true }), "page", true)).toBeNull();
});

describe("the history of an item", () => {
  test("takes back and does again, and forgets what was taken back once something else is done", () => {
    const history = new History("");
    expect(history.untouched).toBe(true);
    for (const [state, at] of [["a", 0], ["b", 1], ["c", 2]] as const) history.note(state, "", at);
    expect([history.undo(), history.undo(), history.redo()]).toEqual(["b", "a", "b"]);
    history.note("d", "", 3);
    expect([history.redo(), history.undo(), history.undo(), history.undo(), history.undo()]).toEqual([null, "b", "a", "", null]);
    expect([history.undoable, history.redoable, history.state]).toEqual([false, true, ""]);
  });

  test("a run without a pause is one step", () => {
    const history = new History("");
    for (const [state, run, at] of [["h", "answer.why", 0], ["he", "answer.why", 300], ["hey", "answer.why", 600], ["hey!", "answer.why", 5000], ["hey!x", "answer.other", 5100]] as const) {
      history.note(state, run, at);
    }
    expect([history.undo(), history.undo(), history.undo(), history.undo()]).toEqual(["hey!", "hey", "", null]);
  });

  test("what changes nothing is no step", () => {
    const history = new History("a");
    history.note("a", "", 0);
    expect(history.untouched).toBe(true);
  });
});

test("words are translated and filled in", () => {
  learn({ "Sending {count}…": "Envoi de {count}…" });
  expect(t("Sending {count}…", { count: 2 })).toBe("Envoi de 2…");
  expect(t("Unknown {count}", { other: 1 })).toBe("Unknown {count}");
});

test("every text of the scripts stands in the page's catalogue", () => {
  const files: Record<string, string> = import.meta.glob("../src/**/*.ts", { query: "?raw", import: "default", eager: true });
  const texts = Object.values(files).flatMap((code) => [...code.matchAll(/\bt\(\s*"([^"]+)"/g)].map((found) => found[1] as string));
  expect(texts.length).toBeGreaterThan(25);
  for (const text of texts) expect(template).toContain(`"${text}": _("${text}")`);
});

test("a proof says one boolean, and nothing while nobody works", () => {
  const sent: Proof[] = [];
  let number = 0;
  const line = { send: async (_method: string, _url: string, body?: unknown) => (sent.push(body as Proof), { status: 200, body: {} }) };
  const proofs = new Proofs(line, "/api/v1/proofs", () => "a1", () => ++number);
  proofs.beat(true);
  expect(sent).toEqual([]);
  proofs.touch();
  proofs.touch();
  proofs.beat(false);
  proofs.beat(true);
  proofs.beat(true);
  expect(sent).toEqual([{ assignment_id: "a1", kind: "proof", active: true, sequence: 1 }]);
  proofs.rest(true);
  proofs.touch();
  proofs.beat(true);
  proofs.seen(false);
  proofs.rest(false);
  expect(sent.map((one) => one.kind)).toEqual(["proof", "pause", "resume"]);
});

test("an upload goes only to places of this server", () => {
  const said = (responseText: string, status = 200) => after({ status, responseText, responseURL: "https://here/batches/3" });
  expect(said('{"next": "/batches/7"}')).toEqual({ go: "/batches/7" });
  expect(said('{"next": "//elsewhere"}')).toEqual({ said: "" });
  expect(said("<!doctype html>")).toEqual({ go: "https://here/batches/3" });
  expect(said('{"detail": "Too large."}', 413)).toEqual({ said: "Too large." });
  expect(said("<html>", 500)).toEqual({ said: "" });
});

test("offsets are code points, as the server counts", () => {
  const pieces = words("😀 Ana, hé", "en");
  expect(pieces.map((piece) => piece.text).join("")).toBe("😀 Ana, hé");
  expect(pieces.find((piece) => piece.text === "Ana")).toMatchObject({ start: 2, end: 5, word: true });
  expect(trim("😀 Ana ", 1, 6)).toEqual([2, 5]);
  expect(cut(pieces, [{ start: 3, end: 4, label: "x" }]).filter((piece) => piece.start >= 2 && piece.end <= 5).map((piece) => piece.text)).toEqual(["A", "n", "a"]);
});

test("boxes stay whole pixels inside the image", () => {
  expect(between({ x: 50.4, y: -9 }, { x: 10.2, y: 700 }, 100, 80)).toEqual({ x: 10, y: 0, width: 40, height: 80 });
  const box = { x: 10, y: 10, width: 20, height: 20 };
  expect(shift(box, 500, -500, 100, 80)).toEqual({ x: 80, y: 0, width: 20, height: 20 });
  expect(grow(box, 500, -500, 100, 80)).toEqual({ x: 10, y: 10, width: 90, height: 3 });
});

test("a new box stands in the middle and is never empty", () => {
  expect(middle(800, 500)).toEqual({ x: 300, y: 187, width: 200, height: 125 });
  expect(middle(5, 4)).toEqual({ x: 1, y: 0, width: 3, height: 3 });
  expect(middle(0, 0)).toBeNull();
  expect(middle(1, 900)).toBeNull();
});
