// An element marked `data-live="URL"` is fetched again every `data-every` milliseconds and replaced by the answer,
// until the answer bears no such mark. What is unfolded in it stays so. It rests while the page is hidden and slows down
// while the server is away.
const SLOWEST_MS = 30_000;

export function watch(element: HTMLElement, failures = 0): void {
  const url = element.dataset["live"];
  if (!url) return;
  const every = Number(element.dataset["every"]) || 1500;
  setTimeout(() => void refresh(element, url, failures), Math.min(SLOWEST_MS, every * 2 ** failures));
}

async function refresh(element: HTMLElement, url: string, failures: number): Promise<void> {
  if (!element.isConnected) return;
  if (document.hidden) {
    document.addEventListener("visibilitychange", () => void refresh(element, url, failures), { once: true });
    return;
  }
  const fresh = await fragment(url);
  if (!fresh) {
    watch(element, failures + 1);
    return;
  }
  const focused = element.contains(document.activeElement) ? document.activeElement?.id : "";
  for (const { id } of element.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${id}`)?.setAttribute("open", "");
  }
  element.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus();
  if (fresh.dataset["reload"] !== undefined) location.reload();
  else watch(fresh);
}

async function fragment(url: string): Promise<HTMLElement | null> {
  try {
    const reply = await fetch(url, { headers: { "X-Fragment": "1" }, credentials: "same-origin" });
    if (!reply.ok || reply.redirected) return null;
    const template = document.createElement("template");
    template.innerHTML = (await reply.text()).trim();
    return template.content.firstElementChild as HTMLElement | null;
  } catch {
    return null;
  }
}
