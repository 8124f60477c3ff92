// A file is sent with a progress bar; then the page goes where the server says. Its words stand in the page.
export function uploads(form: HTMLFormElement): void {
  const part = <T extends HTMLElement>(name: string): T | null => form.querySelector<T>(name);
  const run = part("[data-upload-run]");
  const bar = part<HTMLProgressElement>("progress");
  const error = part("[data-upload-error]");
  const stop = part<HTMLButtonElement>("[data-upload-stop]");
  const words = part("[data-upload-words]")?.dataset ?? {};
  const button = part<HTMLButtonElement>("button.primary");

  function end(text: string): void {
    if (run) run.hidden = true;
    if (stop) stop.hidden = true;
    if (button) button.disabled = false;
    if (error) {
      error.textContent = text;
      error.hidden = !text;
    }
  }

  form.addEventListener("submit", (event) => {
    const file = part<HTMLInputElement>("input[type=file]")?.files?.[0];
    if (!file) return;
    event.preventDefault();
    if (form.dataset["max"] && file.size > Number(form.dataset["max"])) {
      end(words["tooLarge"] ?? "");
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    const csrf = part<HTMLInputElement>("input[name=csrf]")?.value;
    if (csrf) request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.onprogress = ({ loaded, total }) => {
      if (bar) bar.value = total ? (100 * loaded) / total : 0;
      const share = part("[data-upload-share]");
      if (share && total) share.textContent = `${Math.floor((100 * loaded) / total)} %`;
    };
    request.upload.onload = () => {
      const state = part("[data-upload-state]");
      if (state) state.textContent = state.dataset["checking"] ?? "";
      bar?.removeAttribute("value");
    };
    request.onload = () => {
      const asked = after(request);
      if (asked.go) location.assign(asked.go);
      else end(asked.said || (words["lost"] ?? ""));
    };
    request.onerror = () => end(words["lost"] ?? "");
    request.onabort = () => end("");
    if (stop) {
      stop.hidden = false;
      stop.onclick = () => request.abort();
    }
    end("");
    if (run) run.hidden = false;
    if (stop) stop.hidden = false;
    if (button) button.disabled = true;
    request.send(new FormData(form));
  });
}

/** Where to go after an upload, or what to say: `{"next": "/…"}`, a redirect that was followed, or a problem. */
export function after(reply: { status: number; responseText: string; responseURL: string }): { go?: string; said?: string } {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(reply.responseText) as Record<string, unknown>;
  } catch {
    if (reply.status >= 200 && reply.status < 300) return { go: reply.responseURL };
  }
  const next = body["next"];
  if (reply.status < 300 && typeof next === "string" && /^\/(?![/\\])/.test(next)) return { go: next };
  return { said: String(body["detail"] ?? body["title"] ?? "") };
}
