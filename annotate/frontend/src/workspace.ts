// The workspace: shows items one after another without a page load, keeps every answer on the device until the
// server has it, and takes back and does again every step, back over the items before. The page's form is its whole
// interface; without this it works, slower.
import { type Answer, complain, fill, read, restore, snapshot } from "./answers";
import { byId, json, make } from "./dom";
import { History } from "./history";
import { keyboard } from "./hands";
import { placeOf } from "./keys";
import { learn, t } from "./messages";
import { isMeter, show as showMeter } from "./meter";
import { Server } from "./net";
import { DeviceStore, type Entry, type News, Outbox } from "./outbox";
import { watch } from "./pictures";
import { follow, numbers, Proofs } from "./proofs";
import { notices, tell } from "./status";
import { wake } from "./widgets";

interface Boot {
  csrf: string;
  batch: string;
  user: string;
  proof_every: number;
  next: string;
  assignments: string;
  proofs: string;
  sign_in: string;
}

interface Item {
  id: string;
  html: string;
  /** The answer as it was sent; null for an item that was not answered yet. */
  answer: Answer | null;
  version: number;
  /** What was done to it since it is open; null until it is shown. */
  history: History | null;
}

const AHEAD = 3;
/** The pay meter moves with each answer, unless answers come faster than anybody reads it. */
const METER_MS = 2_000;
/** For how long the news of an item on the screen waits for an answer to go along with. */
const OPENED_MS = 150;
const boot = json<Boot>("boot");
learn(json<Record<string, string>>("messages"));
const server = new Server(boot.csrf);
const holder = byId("item");
const form = byId<HTMLFormElement>("answer");
const undoButton = byId<HTMLButtonElement>("undo");
const redoButton = byId<HTMLButtonElement>("redo");
const submitButton = byId<HTMLButtonElement>("submit");
const skipMenu = byId<HTMLDetailsElement>("skip");
const skipNote = byId<HTMLInputElement>("skip-note");
const bar = byId<HTMLProgressElement>("progress");
const nothing = byId("nothing");

let current: Item | null = null;
let queue: Item[] = [];
const before: Item[] = [];
let done = bar.value;
let total = bar.max;
/** New answers of this batch that the server does not have yet. */
let pending = new Set<string>();
/** What was answered or skipped here and is not known to be stored: the server still counts it as held. */
const leaving = new Set<string>();
let latest: News = { state: "saved", waiting: [], refused: [] };
let fetching: Promise<void> | null = null;
/** The item on the screen, until the server was told so. */
let unopened: string | null = null;
/** The item of which an answer that is on its way tells. */
let telling: string | null = null;
/** Sending has failed since all was saved: answers then go alone, so that nothing else can stand in their way. */
let failed = false;
let metered = 0;

// --- sending ---------------------------------------------------------------------------------------------------

const tabs = "BroadcastChannel" in window ? new BroadcastChannel(`fairlabel-${boot.user}`) : null;
if (tabs) tabs.onmessage = ({ data }) => take(data as Record<string, unknown>);

function take(body: Record<string, unknown>): void {
  if (body["batch"] !== boot.batch) return;
  if (isMeter(body["meter"])) {
    showMeter(body["meter"], byId("meter"));
    metered = Date.now();
  }
  pending.delete(String(body["assignment"]));
  leaving.delete(String(body["assignment"]));
  if (typeof body["done"] === "number") done = body["done"];
  else if (body["version"] === 1 && body["duplicate"] === false) done += 1;
  if (typeof body["total"] === "number") total = body["total"];
  count();
}

/** A known answer is said above the next item, which goes on undisturbed, until it is closed or the next one comes. */
function learned(feedback?: { html: string }): void {
  if (feedback) byId("feedback").innerHTML = feedback.html;
  for (const close of byId("feedback").querySelectorAll<HTMLElement>("[data-close]")) {
    close.hidden = false;
    close.onclick = () => close.closest(".notice")?.remove();
  }
}

function lock<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(`fairlabel-outbox-${boot.user}`, work) : work();
}

/** After 401 or 403: look whether somebody signed in again in another tab, and whether it is the same person. */
async function renew(): Promise<boolean> {
  try {
    const page = await (await fetch(location.href, { credentials: "same-origin" })).text();
    const found = new DOMParser().parseFromString(page, "text/html").getElementById("boot")?.textContent;
    const fresh = found ? (JSON.parse(found) as Boot) : null;
    if (fresh?.user !== boot.user) return false;
    server.csrf = fresh.csrf;
    for (const field of document.querySelectorAll<HTMLInputElement>("input[name=csrf]")) field.value = fresh.csrf;
    return true;
  } catch {
    return false;
  }
}

const outbox = new Outbox(await DeviceStore.open(boot.user), server, lock, {
  renew,
  news,
  along,
  stored(entry, reply) {
    const { items, feedback, ...body } = reply.body;
    if (entry.batch === boot.batch) learned(feedback as { html: string } | undefined);
    const said = { ...body, batch: entry.batch, assignment: entry.assignment };
    take(said);
    tabs?.postMessage(said);
    telling = null;
    if (Array.isArray(items)) keepAhead(items as Given[]);
    else if (entry.batch === boot.batch) void refill();
  },
});

/** An answer brings the next items back, and tells the server which one is on the screen now: one request for all. */
function along(entry: Entry): string {
  if (entry.kind !== "answer") return "";
  const query = new URLSearchParams();
  if (Date.now() - metered < METER_MS) query.set("brief", "true");
  if (entry.batch === boot.batch && !failed) {
    const n = wanted() - queue.length;
    const have = [...queue, ...(current ? [current] : [])].map((item) => item.id);
    if (n > 0) {
      query.set("n", String(n));
      query.set("have", have.join(","));
    }
    if (unopened) query.set("shown", unopened);
    telling = unopened;
    unopened = null;
  }
  return query.size ? `?${query}` : "";
}

function news(told: News): void {
  latest = told;
  if (told.state === "offline") failed = true;
  if (told.state === "saved") failed = false;
  if (told.state !== "sending") {
    unopened ??= telling;
    telling = null;
    if (told.state !== "offline") tellOpened();
  }
  tell(told, boot.sign_in);
  pending = new Set(told.waiting.filter(isNew).map((entry) => entry.assignment));
  count();
  showRefused();
  if (told.state === "saved" && !nothing.hidden) void look();
}

function isNew(entry: Entry): boolean {
  return entry.kind === "answer" && entry.batch === boot.batch && entry.body["version"] === 1 && !entry.refused;
}

function showRefused(): void {
  notices(latest.refused, {
    again: (entry) => void outbox.retry(entry),
    discard(entry) {
      leaving.delete(entry.assignment);
      void outbox.discard(entry);
    },
    reopen(entry) {
      const { html, assignment: id, body } = entry;
      if (entry.kind !== "answer" || entry.batch !== boot.batch || !html || id === current?.id) return null;
      return () => {
        if (current) queue.unshift(current);
        show({ id, html, answer: body["answer"] as Answer, version: Number(body["version"]), history: null });
      };
    },
  });
}

// --- items -----------------------------------------------------------------------------------------------------

function count(): void {
  const shown = done + pending.size;
  bar.max = Math.max(total, shown, 1);
  bar.value = shown;
  byId("count").textContent = t("{done} of {total}", { done: shown, total: Math.max(total, shown) });
}

function draftKey(id: string): string {
  return `fairlabel:draft:${boot.user}:${id}`;
}

function show(item: Item | null): void {
  current = item;
  skipMenu.open = false;
  skipMenu.inert = item === null;
  nothing.hidden = item !== null;
  submitButton.ariaDisabled = String(item === null);
  if (item) place(item);
  else holder.replaceChildren();
  steps();
  showRefused();
}

function place(item: Item): void {
  const template = make("template");
  template.innerHTML = item.html;
  const draft = item.answer ?? (JSON.parse(sessionStorage.getItem(draftKey(item.id)) ?? "null") as Answer | null);
  if (draft) fill(template.content, draft);
  const fresh = template.content.firstElementChild;
  fresh?.classList.add("new");
  if (item.version > 1) {
    const words = t("This is the item before. Change your answer and submit it again.");
    fresh?.querySelector(".fields")?.prepend(make("p", { class: "notice", role: "status" }, words));
  }
  holder.replaceChildren(template.content);
  for (const field of skipMenu.querySelectorAll("[name=assignment_id]")) field.setAttribute("value", item.id);
  skipNote.value = "";
  byId("scroll").scrollTo(0, 0);
  byId("main").focus({ preventScroll: true });
  ready(item);
}

/** What every item on the screen gets, whether the page brought it or the script. */
function ready(item: Item): void {
  if (item.history) restore(holder, item.history.state);
  else item.history = new History(snapshot(holder));
  wake(holder);
  watch(holder, () => void skip("broken:broken"));
  opened(item);
}

/** The server starts an item's clock now, not when it was fetched ahead; an item that came back counts as well. */
function opened(item: Item): void {
  unopened = item.id;
  setTimeout(() => {
    if (unopened === item.id) tellOpened();
  }, OPENED_MS);
}

function tellOpened(): void {
  if (unopened) void server.send("POST", `${boot.assignments}/${unopened}/open`, undefined, true);
  unopened = null;
}

function wanted(): number {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData ? 1 : AHEAD;
}

interface Given {
  assignment_id: string;
  html: string;
}

function keepAhead(items: Given[]): void {
  const known = new Set([...queue, ...before, ...(current ? [current] : [])].map((item) => item.id));
  for (const { assignment_id: id, html } of items) {
    if (!known.has(id) && !leaving.has(id)) queue.push({ id, html, answer: null, version: 1, history: null });
  }
}

async function more(): Promise<void> {
  if (queue.length >= wanted()) return;
  const unsent = (await outbox.all()).map((entry) => entry.assignment);
  const have = new Set([...queue.map((item) => item.id), ...(current ? [current.id] : []), ...unsent, ...leaving]);
  const query = new URLSearchParams({ n: String(wanted() - queue.length), have: [...have].join(",") });
  const reply = await server.send("GET", `${boot.next}?${query}`);
  if (reply.status === 401) news({ ...latest, state: "signed-out" });
  keepAhead(((reply.body["items"] ?? []) as Given[]).filter((one) => !have.has(one.assignment_id)));
  // Only a stored answer's reply counts what is done; this one may be older than it.
  if (typeof reply.body["total"] === "number") total = reply.body["total"];
  count();
  const why = nothing.querySelector<HTMLElement>("[data-why]");
  if (!why) return;
  if (reply.status === 200) why.textContent = String(reply.body["message"] ?? "");
  else if (reply.status === 0) why.textContent = t("You are offline and no more items are ready. Your answers are kept.");
  else why.textContent = String(reply.body["detail"] ?? "");
}

function refill(): Promise<void> {
  fetching ??= more().finally(() => {
    fetching = null;
  });
  return fetching;
}

/** There was nothing to show while all that is held was on its way; now it has arrived. */
async function look(): Promise<void> {
  await refill();
  const item = current ? null : queue.shift();
  if (item) show(item);
}

async function next(): Promise<void> {
  let item = queue.shift() ?? null;
  if (!item) {
    show(null);
    const why = nothing.querySelector<HTMLElement>("[data-why]");
    if (why) why.textContent = t("Loading the next item…");
    await refill();
    await refill();
    if (current) return;
    item = queue.shift() ?? null;
  }
  show(item);
}

async function submit(): Promise<void> {
  const item = current;
  if (!item) return;
  const { answer, wrong } = read(holder);
  complain(holder, wrong);
  if (wrong.length) return;
  current = null;
  const { id, html, version } = item;
  leaving.add(id);
  const body = { submission_id: crypto.randomUUID(), version, answer };
  if (version === 1) pending.add(id);
  await outbox.add({ kind: "answer", batch: boot.batch, assignment: id, url: `${boot.assignments}/${id}/answer`, body, html });
  sessionStorage.removeItem(draftKey(id));
  before.push({ ...item, answer });
  count();
  await next();
}

/** Skip as one of the menu's buttons says: what is to become of the item, and why. */
async function skip(choice: string): Promise<void> {
  const item = current;
  if (!item) return;
  current = null;
  if (item.version === 1) {
    leaving.add(item.id);
    const [outcome, reason] = choice.split(":");
    const body = { outcome, reason, note: outcome === "broken" ? skipNote.value : "" };
    const url = `${boot.assignments}/${item.id}/skip`;
    await outbox.add({ kind: "skip", batch: boot.batch, assignment: item.id, url, body });
  } else before.push(asSent(item));
  await next();
  void refill();
}

/** An item that was opened again and left without sending it anew. */
function asSent(item: Item): Item {
  return { ...item, version: item.version - 1 };
}

// --- steps -----------------------------------------------------------------------------------------------------

/** Undo takes back what was done to this item, step by step, and then goes back one item. */
function undo(): void {
  const state = current?.history?.undo() ?? null;
  const item = state === null ? before.pop() : undefined;
  if (state !== null) put(state);
  else if (item) {
    if (current) queue.unshift(current);
    show({ ...item, version: item.version + 1, history: null });
  }
}

function redo(): void {
  const state = current?.history?.redo() ?? null;
  if (state !== null) put(state);
  else if (current && leavable(current)) {
    before.push(asSent(current));
    current = null;
    void next().then(refill);
  }
}

/** Whether undo led to this item and nothing was done there: then redo leads forward again. */
function leavable(item: Item): boolean {
  return item.version > 1 && item.history?.untouched === true;
}

function put(state: string): void {
  restore(holder, state);
  keep();
  steps();
}

function steps(): void {
  const history = current?.history;
  undoButton.ariaDisabled = String(!history?.undoable && !before.length);
  redoButton.ariaDisabled = String(!history?.redoable && !(current && leavable(current)));
}

/** An answer that is not sent yet outlives a reload. */
function keep(): void {
  if (current?.version === 1) sessionStorage.setItem(draftKey(current.id), JSON.stringify(read(holder).answer));
}

// --- hands -----------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
skipMenu.addEventListener("submit", (event) => {
  event.preventDefault();
  void skip((event.submitter as HTMLButtonElement).value);
});
undoButton.addEventListener("click", undo);
redoButton.addEventListener("click", redo);
// A click on an action leaves the focus where the work is, so that Enter goes on meaning the work.
undoButton.closest(".acts")?.addEventListener("mousedown", (event) => event.preventDefault());
holder.addEventListener("input", (event) => {
  const typed = placeOf(event.target) === "text" ? (event.target as HTMLInputElement).name : "";
  current?.history?.note(snapshot(holder), event instanceof CustomEvent ? String(event.detail) : typed, Date.now());
  keep();
  steps();
});
holder.addEventListener("change", (event) => {
  const line = (event.target as Element).closest("[data-field]")?.querySelector<HTMLElement>(".fielderror");
  if (line) line.hidden = true;
});

keyboard({ submit: () => void submit(), undo, redo });

// --- time ------------------------------------------------------------------------------------------------------

const rest = byId<HTMLDialogElement>("break");
const proofs = new Proofs(server, boot.proofs, () => current?.id ?? "", numbers(boot.user));
follow(proofs, boot.proof_every * 1000);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void outbox.flush();
});
byId("pause").addEventListener("click", () => {
  proofs.rest(true);
  rest.showModal();
});
rest.addEventListener("close", () => proofs.rest(false));
addEventListener("online", () => {
  void outbox.flush();
  void (current ? refill() : next());
});

// --- start -----------------------------------------------------------------------------------------------------

const first = holder.querySelector<HTMLElement>("[data-assignment]");
const kept = await outbox.all();
pending = new Set(kept.filter(isNew).map((entry) => entry.assignment));
count();
if (first) {
  const item: Item = { id: first.dataset["assignment"] as string, html: holder.innerHTML.trim(), answer: null, version: 1, history: null };
  // A reload while an answer still waits: the server does not know yet that this item is done.
  if (kept.some((entry) => entry.assignment === item.id)) void next().then(refill);
  else {
    current = item;
    const draft = sessionStorage.getItem(draftKey(item.id));
    if (draft) fill(holder, JSON.parse(draft) as Answer);
    ready(item);
    steps();
    // The scroller takes page keys only while something in it has the focus.
    if (document.activeElement === document.body) byId("main").focus({ preventScroll: true });
    void refill();
  }
} else void next().then(refill);
learned();
// Shown last: whoever sees them can rely on every key.
for (const id of ["pause", "keys", "undo", "redo"]) byId(id).hidden = false;
void outbox.flush();
void navigator.storage?.persist?.();
