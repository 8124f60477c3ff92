// A picture that does not load is said where it should stand, with the two things that help: try again, or skip.
import { make } from "./dom";
import { t } from "./messages";

export function watch(item: ParentNode, skip: () => void): void {
  for (const image of item.querySelectorAll("img")) {
    image.addEventListener("error", () => lack(image, skip));
    image.addEventListener("load", () => mend(image));
    // It may have failed before this script ran. A drawing without a size of its own has no width either, but decodes.
    if (image.complete && !image.naturalWidth) image.decode().catch(() => lack(image, skip));
  }
}

function lack(image: HTMLImageElement, skip: () => void): void {
  const frame = image.closest<HTMLElement>(".surface, .part");
  if (!frame || frame.querySelector(".broken")) return;
  const again = make("button", { class: "button", type: "button" }, t("Try again"));
  again.onclick = () => {
    frame.querySelector(".broken")?.remove();
    image.src = image.src;
  };
  addEventListener("online", () => again.isConnected && again.click(), { once: true });
  const leave = make("button", { class: "button", type: "button" }, t("Skip: it does not load"));
  leave.onclick = skip;
  const words = make("p", {}, t("The picture does not load."), " ", t("Skipping it is paid and never counts against you."));
  frame.append(make("div", { class: "notice warn broken", role: "alert" }, words, again, leave));
  frame.dataset["lacking"] = "";
  if (image.closest("label-boxes")) image.closest<HTMLElement>("[data-field]")?.setAttribute("data-broken", "");
}

function mend(image: HTMLImageElement): void {
  const frame = image.closest<HTMLElement>(".surface, .part");
  frame?.querySelector(".broken")?.remove();
  if (frame) delete frame.dataset["lacking"];
  image.closest("[data-field]")?.removeAttribute("data-broken");
}
