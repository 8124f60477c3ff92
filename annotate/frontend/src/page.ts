// Ordinary pages: runs that refresh themselves, uploads with a bar, menus that close. All of it works without.
import { watch } from "./live";
import { uploads } from "./upload";

for (const found of document.querySelectorAll<HTMLElement>("[data-live]")) watch(found);
for (const form of document.querySelectorAll<HTMLFormElement>("form[data-upload]")) uploads(form);
document.querySelector<HTMLElement>("[data-focus]")?.focus();
for (const button of document.querySelectorAll<HTMLElement>("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// On a narrow screen the navigation scrolls sideways: the entry of this page is brought into sight.
const here = document.querySelector<HTMLElement>(".mainnav:not(.tabbar) [aria-current]");
const nav = here?.closest<HTMLElement>(".mainnav");
if (here && nav) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;

// Without scripts, or where the browser lends no clipboard, the text is marked and copied by hand.
for (const button of document.querySelectorAll<HTMLElement>("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    const text = document.getElementById(button.dataset["copy"] ?? "")?.textContent ?? "";
    void navigator.clipboard.writeText(text).then(() => {
      const words = button.querySelector("span");
      if (words) words.textContent = button.dataset["done"] ?? "";
    });
  });
}

const menus = (): NodeListOf<HTMLDetailsElement> => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target as Node)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});
