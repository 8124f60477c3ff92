// Talking to the server: every write carries the sign-in's token; a broken connection is status 0, never an exception.
export interface Reply {
  status: number;
  body: Record<string, unknown>;
}

export interface Line {
  send(method: string, url: string, body?: unknown, quick?: boolean): Promise<Reply>;
}

const LONGEST_MS = 30_000;

export class Server implements Line {
  constructor(public csrf: string) {}

  async send(method: string, url: string, body?: unknown, quick = false): Promise<Reply> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (method !== "GET") headers["X-CSRF-Token"] = this.csrf;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      const reply = await fetch(url, {
        method,
        headers,
        credentials: "same-origin",
        keepalive: quick,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(quick ? {} : { signal: AbortSignal.timeout(LONGEST_MS) }),
      });
      const text = await reply.text();
      // A sign-in page or a proxy's page answered instead of the API: the session or the connection is not ours.
      if (!(reply.headers.get("Content-Type") ?? "").includes("json")) {
        return { status: reply.redirected ? 401 : reply.ok ? 0 : reply.status, body: {} };
      }
      return { status: reply.status, body: JSON.parse(text) as Record<string, unknown> };
    } catch {
      return { status: 0, body: {} };
    }
  }
}

/** One sender at a time over all tabs of a person. */
export function lock(user: string): <T>(work: () => Promise<T>) => Promise<T> {
  return (work) => (navigator.locks ? navigator.locks.request(`fairlabel-outbox-${user}`, work) : work());
}

/** After 401 or 403: look whether somebody signed in again in another tab, and whether it is the same person. */
export async function renew(server: Server, user: string): Promise<boolean> {
  try {
    const page = await (await fetch(location.href, { credentials: "same-origin" })).text();
    const found = new DOMParser().parseFromString(page, "text/html").getElementById("boot")?.textContent;
    const fresh = found ? (JSON.parse(found) as { user: string; csrf: string }) : null;
    if (fresh?.user !== user) return false;
    server.csrf = fresh.csrf;
    for (const field of document.querySelectorAll<HTMLInputElement>("input[name=csrf]")) field.value = fresh.csrf;
    return true;
  } catch {
    return false;
  }
}
