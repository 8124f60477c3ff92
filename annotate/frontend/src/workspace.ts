// The workspace: shows items one after another without a page load, keeps every answer on the device until the
// server has it, and lets go back one item. The page's form is its whole interface; without this it works, slower.
import { type Answer, complain, fill, read } from "./answers";
import { byId, json, make } from "./dom";
import { bearer, meaning, placeOf } from "./keys";
import { learn, t } from "./messages";
import { isMeter, show as showMeter } from "./meter";
import { Server } from "./net";
import { DeviceStore, type Entry, type News, Outbox } from "./outbox";
import { Proofs } from "./proofs";
import type { Helpers } from "./widgets/marks";

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
  answer: Answer | null;
  version: number;
}

const AHEAD = 3;
const LOADERS: Record<string, () => Promise<{ start(helpers: Helpers): void }>> = {
  "label-spans": () => import("./widgets/spans"),
  "label-boxes": () => import("./widgets/boxes"),
};

const boot = json<Boot>("boot");
learn(json<Record<string, string>>("messages"));
const server = new Server(boot.csrf);
const holder = byId("item");
const form = byId<HTMLFormElement>("answer");
const undoButton = byId<HTMLButtonElement>("undo");
const submitButton = byId<HTMLButtonElement>("submit");
const skipMenu = byId<HTMLDetailsElement>("skip");
const skipForm = byId<HTMLFormElement>("skip-form");
const bar = byId<HTMLProgressElement>("progress");
const nothing = byId("nothing");

let current: Item | null = null;
let queue: Item[] = [];
const before: Item[] = [];
let done = bar.value;
let total = bar.max;
let latest: News = { state: "saved", waiting: 0, refused: [] };
let fetching: Promise<void> | null = null;
let single = localStorage.getItem("fairlabel:keys") !== "off";

// --- sending ---------------------------------------------------------------------------------------------------

const tabs = "BroadcastChannel" in window ? new BroadcastChannel(`fairlabel-${boot.user}`) : null;
if (tabs) tabs.onmessage = ({ data }) => take(data as Record<string, unknown>);

function take(body: Record<string, unknown>): void {
  if (body["batch"] !== boot.batch) return;
  if (isMeter(body["meter"])) showMeter(body["meter"], byId("meter"));
  // The server's count is the whole truth only when nothing waits here any more.
  if (typeof body["done"] === "number" && latest.waiting === 0) done = body["done"];
  if (typeof body["total"] === "number") total = body["total"];
  count();
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
  stored(entry, reply) {
    const said = { ...reply.body, batch: entry.batch };
    latest = { ...latest, waiting: Math.max(0, latest.waiting - 1) };
    take(said);
    tabs?.postMessage(said);
  },
});

function news(told: News): void {
  latest = told;
  const net = byId("net");
  const signIn = make("a", { href: boot.sign_in, target: "_blank" }, t("Sign in"));
  const texts: Record<News["state"], (string | Node)[]> = {
    saved: [t("All answers saved")],
    sending: [t("Sending {count}…", { count: told.waiting })],
    offline: [t("Offline. {count} kept on this device", { count: told.waiting })],
    "signed-out": [t("Sign in again, your answers are safe"), " ", signIn],
    refused: [t("{count} could not be stored", { count: told.refused.length })],
  };
  const words = texts[told.state];
  const text = byId("net-text");
  // A screen reader hears this line; it must not repeat itself while nothing changed.
  if (net.dataset["state"] !== told.state || told.state !== "signed-out") {
    if (text.textContent !== words.map((one) => (typeof one === "string" ? one : one.textContent)).join("")) text.replaceChildren(...words);
  }
  net.dataset["state"] = told.state;
  byId("notices").replaceChildren(...told.refused.map(refusal));
}

function refusal(entry: Entry): HTMLElement {
  const again = make("button", { class: "button", type: "button" }, t("Try again"));
  again.onclick = () => void outbox.retry();
  const words = make("p", {}, t("An answer could not be stored. It is kept on this device."), " ", entry.refused ?? "");
  return make("div", { class: "notice bad" }, words, again);
}

// --- items -----------------------------------------------------------------------------------------------------

function count(): void {
  const shown = Math.min(done, Math.max(total, done));
  bar.max = Math.max(total, 1);
  bar.value = shown;
  byId("count").textContent = t("{done} of {total}", { done: shown, total: Math.max(total, done) });
}

function wake(): void {
  for (const [name, load] of Object.entries(LOADERS)) {
    if (!holder.querySelector(name)) continue;
    load()
      .then((widget) => widget.start({ make, t }))
      .catch(() => {
        const words = t("This part could not be loaded. Reload the page; your answers are kept.");
        holder.querySelector(name)?.prepend(make("p", { class: "notice bad", role: "alert" }, words));
      });
  }
}

function draftKey(id: string): string {
  return `fairlabel:draft:${boot.user}:${id}`;
}

function show(item: Item | null): void {
  current = item;
  skipMenu.open = false;
  nothing.hidden = item !== null;
  submitButton.ariaDisabled = String(item === null);
  undoButton.ariaDisabled = String(before.length === 0);
  if (!item) {
    holder.replaceChildren();
    return;
  }
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
  skipForm.querySelector<HTMLInputElement>("[name=assignment_id]")?.setAttribute("value", item.id);
  byId("scroll").scrollTo(0, 0);
  byId("main").focus({ preventScroll: true });
  wake();
  opened(item);
}

/** The server starts an item's clock now, not when it was fetched ahead; an item that came back counts as well. */
function opened(item: Item): void {
  void server.send("POST", `${boot.assignments}/${item.id}/open`, undefined, true);
}

async function more(): Promise<void> {
  const wanted = (navigator as { connection?: { saveData?: boolean } }).connection?.saveData ? 1 : AHEAD;
  if (queue.length >= wanted) return;
  const unsent = (await outbox.waiting()).map((entry) => entry.assignment);
  const have = [...queue.map((item) => item.id), ...(current ? [current.id] : []), ...unsent];
  const query = new URLSearchParams({ n: String(wanted - queue.length), have: have.join(",") });
  const reply = await server.send("GET", `${boot.next}?${query}`);
  if (reply.status === 401) news({ ...latest, state: "signed-out" });
  const answered = new Set([...unsent, ...before.map((item) => item.id)]);
  for (const one of (reply.body["items"] ?? []) as { assignment_id: string; html: string }[]) {
    const known = answered.has(one.assignment_id) || have.includes(one.assignment_id);
    if (!known) queue.push({ id: one.assignment_id, html: one.html, answer: null, version: 1 });
  }
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
  void refill();
}

async function submit(): Promise<void> {
  const item = current;
  if (!item) return;
  const { answer, wrong } = read(holder);
  complain(holder, wrong);
  if (wrong.length) return;
  current = null;
  const body = { submission_id: crypto.randomUUID(), version: item.version, answer };
  const url = `${boot.assignments}/${item.id}/answer`;
  await outbox.add({ kind: "answer", batch: boot.batch, assignment: item.id, url, body });
  sessionStorage.removeItem(draftKey(item.id));
  before.push({ ...item, answer });
  if (item.version === 1) done += 1;
  count();
  await next();
}

async function skip(reason: string): Promise<void> {
  const item = current;
  if (!item) return;
  current = null;
  if (item.version === 1) {
    const body = { reason, outcome: "others" };
    const url = `${boot.assignments}/${item.id}/skip`;
    await outbox.add({ kind: "skip", batch: boot.batch, assignment: item.id, url, body });
  }
  await next();
}

/** Undo first takes back the last edit of marks, then goes back one item. */
function undo(): void {
  const rich = holder.querySelector(Object.keys(LOADERS).join());
  if (rich && !rich.dispatchEvent(new CustomEvent("undo", { cancelable: true }))) return;
  const item = before.pop();
  if (!item) return;
  if (current) queue.unshift({ ...current, answer: current.version > 1 ? current.answer : read(holder).answer });
  show({ ...item, version: item.version + 1 });
}

// --- hands -----------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
skipForm.addEventListener("submit", (event) => {
  event.preventDefault();
  void skip((event.submitter as HTMLButtonElement | null)?.value ?? "other");
});
undoButton.addEventListener("click", undo);
holder.addEventListener("input", () => {
  if (current && current.version === 1) sessionStorage.setItem(draftKey(current.id), JSON.stringify(read(holder).answer));
});
holder.addEventListener("change", (event) => {
  const line = (event.target as Element).closest("[data-field]")?.querySelector<HTMLElement>(".fielderror");
  if (line) line.hidden = true;
});

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const place = placeOf(event.target);
  // Enter in a one-line box would submit natively; a slip of the hand must not.
  if (event.key === "Enter" && place === "text" && !event.ctrlKey && event.target instanceof HTMLInputElement) event.preventDefault();
  if (event.key === "Escape") for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) menu.open = false;
  const asked = meaning(event, place, single);
  if (!asked) return;
  if (asked === "submit") {
    event.preventDefault();
    if (!event.repeat) void submit();
    return;
  }
  const found = event.repeat ? null : bearer(document, asked);
  if (!found) return;
  event.preventDefault();
  found.click();
  if (found instanceof HTMLInputElement) found.focus({ preventScroll: true });
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (!menu.contains(event.target as Node)) menu.open = false;
  }
});

const keymap = byId<HTMLDialogElement>("keymap");
const rest = byId<HTMLDialogElement>("break");
const singleKeys = byId<HTMLInputElement>("single-keys");
singleKeys.checked = single;
singleKeys.addEventListener("change", () => {
  single = singleKeys.checked;
  localStorage.setItem("fairlabel:keys", single ? "on" : "off");
});
byId("keys").addEventListener("click", () => keymap.showModal());

// --- time ------------------------------------------------------------------------------------------------------

const sequenceKey = `fairlabel:sequence:${boot.user}`;
const proofs = new Proofs(
  server,
  boot.proofs,
  () => current?.id ?? "",
  () => {
    const number = Number(localStorage.getItem(sequenceKey) ?? 0) + 1;
    localStorage.setItem(sequenceKey, String(number));
    return number;
  },
);
for (const sign of ["pointerdown", "pointermove", "keydown", "scroll", "input"]) {
  addEventListener(sign, () => proofs.touch(), { passive: true, capture: true });
}
setInterval(() => proofs.beat(document.visibilityState === "visible"), boot.proof_every * 1000);
document.addEventListener("visibilitychange", () => {
  const visible = document.visibilityState === "visible";
  proofs.seen(visible);
  if (visible) void outbox.flush();
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

for (const id of ["pause", "keys", "undo"]) byId(id).hidden = false;
const first = holder.querySelector<HTMLElement>("[data-assignment]");
const unsent = await outbox.waiting();
done += unsent.filter((entry) => entry.kind === "answer" && entry.batch === boot.batch).length;
count();
if (first) {
  const item: Item = { id: first.dataset["assignment"] as string, html: holder.innerHTML.trim(), answer: null, version: 1 };
  // A reload while an answer still waits: the server does not know yet that this item is done.
  if (unsent.some((entry) => entry.assignment === item.id)) void next();
  else {
    current = item;
    const draft = sessionStorage.getItem(draftKey(item.id));
    if (draft) fill(holder, JSON.parse(draft) as Answer);
    wake();
    // The scroller takes page keys only while something in it has the focus.
    if (document.activeElement === document.body) byId("main").focus({ preventScroll: true });
    opened(item);
    void refill();
  }
} else void next();
void outbox.flush();
void navigator.storage?.persist?.();
