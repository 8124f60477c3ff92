// The line that says whether all answers are safe, and a notice for each that the server refused: why, and what can be
// done with it. Nothing refused stays in the way, and nothing is thrown away without the person's word.
import { byId, make } from "./dom";
import { t } from "./messages";
import type { Entry, News } from "./outbox";

export interface Hands {
  again(entry: Entry): void;
  discard(entry: Entry): void;
  /** Show the item with the refused answer once more; null where it cannot be shown here or already is. */
  reopen(entry: Entry): (() => void) | null;
}

export function tell(news: News, signIn: string): void {
  const net = byId("net");
  const link = make("a", { href: signIn, target: "_blank" }, t("Sign in"));
  const texts: Record<News["state"], (string | Node)[]> = {
    saved: [t("All answers saved")],
    sending: [t("Sending {count}…", { count: news.waiting.length })],
    offline: [t("Offline. {count} kept on this device", { count: news.waiting.length })],
    "signed-out": [t("Sign in again, your answers are safe"), " ", link],
    refused: [make("a", { href: "#notices" }, t("{count} could not be stored", { count: news.refused.length }))],
  };
  const words = texts[news.state];
  const text = byId("net-text");
  // A screen reader hears this line; it must not repeat itself while nothing changed.
  const said = words.map((one) => (typeof one === "string" ? one : one.textContent)).join("");
  if (text.textContent !== said || net.dataset["state"] !== news.state) text.replaceChildren(...words);
  net.dataset["state"] = news.state;
}

export function notices(refused: Entry[], hands: Hands): void {
  byId("notices").replaceChildren(...refused.map((entry) => notice(entry, hands)));
}

function notice(entry: Entry, hands: Hands): HTMLElement {
  const button = (text: string, work: () => void): HTMLElement => {
    const made = make("button", { class: "button", type: "button" }, text);
    made.onclick = work;
    return made;
  };
  const said = entry.kind === "answer" ? t("An answer could not be stored. It is kept on this device.") : t("A skip could not be stored.");
  const reopen = hands.reopen(entry);
  const acts = [
    ...(reopen ? [button(t("Open it again"), reopen)] : []),
    button(t("Try again"), () => hands.again(entry)),
    button(t("Discard it"), () => hands.discard(entry)),
  ];
  return make("div", { class: "notice bad", role: "group", "aria-label": said }, make("p", {}, said, " ", entry.refused ?? ""), ...acts);
}
