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
