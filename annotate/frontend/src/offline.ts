// The service worker of the workspace: it opens again without a connection, and no other page does. Pages come from the
// network first, so that none is ever older than it has to be; the scripts, which carry their content in their name, are
// kept. Everything is kept under the build's version and dropped when another begins. What is written is never touched.
declare const self: ServiceWorkerGlobalScope;

const FAMILY = "fairlabel-work-";
const NAME = FAMILY + new URL(self.location.href).searchParams.get("v");
const PAGE = /^\/work\/[0-9a-f-]{36}\/?$/;
const BUILT = "/static/dist/assets/";

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("message", (event) => event.waitUntil(keep(event.data as string[])));
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== self.location.origin) return;
  if (mode === "navigate" && PAGE.test(pathname)) event.respondWith(page(event, pathname));
  else if (pathname.startsWith(BUILT)) event.respondWith(built(event.request));
});

async function begin(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(FAMILY) && name !== NAME) await caches.delete(name);
  await self.clients.claim();
}

async function page(event: FetchEvent, path: string): Promise<Response> {
  const cache = await caches.open(NAME);
  try {
    const fresh = await fetch(event.request);
    // A sign-in that has ended, or work that is gone, must not come back from here either.
    event.waitUntil(fresh.ok ? cache.put(path, fresh.clone()) : cache.delete(path));
    return fresh;
  } catch {
    const kept = await cache.match(path, { ignoreVary: true });
    return kept ? marked(kept) : Response.error();
  }
}

/** Let the page know that it is not fresh: what it shows may be done already. */
async function marked(kept: Response): Promise<Response> {
  const headers = new Headers(kept.headers);
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  return new Response((await kept.text()).replace("<html", "<html data-kept"), { headers });
}

async function built(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) await cache.put(request, fresh.clone());
  return fresh;
}

/** The first page of a build was loaded before this worker ran; it names what it needs. */
async function keep(urls: string[]): Promise<void> {
  const cache = await caches.open(NAME);
  for (const url of urls) {
    if (await cache.match(url, { ignoreVary: true })) continue;
    const fresh = await fetch(url, { credentials: "same-origin" });
    if (fresh.ok && !fresh.redirected) await cache.put(url, fresh);
  }
}
