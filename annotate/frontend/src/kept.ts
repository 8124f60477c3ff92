// What lets the workspace be reloaded without a connection: the service worker keeps the page and its scripts, and this
// tab keeps what a kept page cannot know, the items that are ready and the last count and pay that the server told.
export interface Left {
  done: number;
  total: number;
  meter: unknown;
  ready: { id: string; html: string }[];
}

/** Whether the service worker opened this page without the server. */
export function fromHere(): boolean {
  return "kept" in document.documentElement.dataset;
}

export function remember(key: string, left: Left): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(left));
  } catch {
    // Items too large to be kept: without a connection they are fetched later.
    sessionStorage.setItem(key, JSON.stringify({ ...left, ready: [] }));
  }
}

export function recall(key: string): Left | null {
  return JSON.parse(sessionStorage.getItem(key) ?? "null") as Left | null;
}

/** Have the service worker keep this page; the first one of a build was loaded before the worker ran. */
export async function keepPage(worker: string): Promise<void> {
  if (!navigator.serviceWorker) return;
  const needed = [...document.querySelectorAll<HTMLScriptElement | HTMLLinkElement>("script[src], link[rel=modulepreload]")];
  const urls = [location.pathname, ...needed.map((one) => ("src" in one ? one.src : one.href))];
  try {
    await navigator.serviceWorker.register(worker, { scope: "/work/" });
    (await navigator.serviceWorker.ready).active?.postMessage(urls);
  } catch {
    // Refused by the browser or a private window's settings: only a cold start without a connection is lost.
  }
}
