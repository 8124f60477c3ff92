// Rich widgets are loaded when an item needs one; each is a custom element that wakes up where it stands.
import { make } from "./dom";
import { t } from "./messages";
import type { Helpers } from "./widgets/marks";

const LOADERS: Record<string, () => Promise<{ start(helpers: Helpers): void }>> = {
  "label-spans": () => import("./widgets/spans"),
  "label-boxes": () => import("./widgets/boxes"),
};

export function wake(item: ParentNode): void {
  for (const [name, load] of Object.entries(LOADERS)) {
    if (!item.querySelector(name)) continue;
    load()
      .then((widget) => widget.start({ make, t }))
      .catch(() => {
        const words = t("This part could not be loaded. Reload the page; your answers are kept.");
        item.querySelector(name)?.prepend(make("p", { class: "notice bad", role: "alert" }, words));
      });
  }
}
