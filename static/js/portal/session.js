// A visitor's session in this browser: its token, and calls that carry it. There are no cookies, so it also works in a frame.
const { entrance, chat, help, carry } = document.documentElement.dataset;
const KEY = `posthaste:${entrance}`;
export const places = { entrance, chat, help, carry };

let memory = {}; // where a browser keeps nothing for a frame, as long as the page is open
let identity = null; // what the host site has signed
let beginning = null;

function read(name) {
  try { return JSON.parse(localStorage.getItem(name)) ?? memory[name] ?? null; } catch { return memory[name] ?? null; }
}

function write(name, value) {
  memory[name] = value;
  try {
    if (value === null) localStorage.removeItem(name); else localStorage.setItem(name, JSON.stringify(value));
  } catch { /* kept in memory */ }
}

const LONGEST_MS = 30_000;
const LONGEST_UPLOAD_MS = 300_000;

/** Something of this visitor that outlives the page, such as lines that were not sent. */
export const kept = {
  get: (name) => read(`${KEY}:${name}`),
  set: (name, value) => write(`${KEY}:${name}`, value),
};

export function newId() {
  return globalThis.crypto?.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}-${Math.random().toString(36).slice(2)}`;
}

/** An error of the server (a problem), or of the way to it (`status` 0). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || "");
    Object.assign(this, { status, code: problem.code ?? "", errors: problem.errors ?? [], wait: problem.retry_after ?? 0 });
  }
}

export function token() {
  return read(KEY)?.token ?? "";
}

export function keepToken(value) {
  write(KEY, value ? { token: value, who: "" } : null);
}

export function forget() {
  write(KEY, null);
  kept.set("outbox", null);
}

function nameOf(signed) {
  try { return String(JSON.parse(signed.payload).id ?? ""); } catch { return ""; }
}

/** Whether the host site has signed who the visitor is. */
export const isSigned = () => identity !== null;

/** Take what the host site has signed; another visitor's session is not gone on with. True: the session has changed. */
export function setIdentity(signed) {
  identity = signed?.payload && signed?.signature ? { payload: signed.payload, signature: signed.signature } : null;
  const stored = read(KEY);
  const who = identity ? nameOf(identity) : "";
  if (!stored || stored.who === who) return false;
  forget();
  // What one visitor has begun to write is not shown to another; who signs in goes on with it.
  if (stored.who) for (const name of ["draft", "email"]) kept.set(name, null);
  return true;
}

async function send(method, path, { body, auth } = {}) {
  const headers = { Accept: "application/json" };
  if (auth) headers.Authorization = `Bearer ${auth}`;
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const signal = AbortSignal.timeout?.(isForm ? LONGEST_UPLOAD_MS : LONGEST_MS); // a dead connection says nothing
    answer = await fetch(path, { method, headers, signal, credentials: "omit", cache: "no-store", body: body === undefined || isForm ? body : JSON.stringify(body) });
  } catch {
    throw new Refused(0, {});
  }
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, { ...said, retry_after: Number(answer.headers.get("Retry-After")) || 0 });
  return said;
}

/** Begin a session unless there is one, and return its token; asked for twice at once it is one. */
export function begin() {
  if (token()) return Promise.resolve(token());
  beginning ??= send("POST", `${chat}session/`, { body: { language: document.documentElement.lang, ...(identity ? { identity } : {}) } })
    .then((made) => { write(KEY, { token: made.token, who: identity ? nameOf(identity) : "" }); return made.token; })
    .finally(() => { beginning = null; });
  return beginning;
}

/** Ask the server. `needs`: begin a session where there is none; a session that has ended is begun anew once. */
export async function call(method, path, { body, needs = false } = {}) {
  const auth = needs ? await begin() : token();
  try {
    return await send(method, path, { body, auth });
  } catch (error) {
    if (error.code !== "session_ended") throw error;
    if (token() === auth) write(KEY, null); // else another tab has begun a new one
    return send(method, path, { body, auth: needs ? await begin() : token() });
  }
}

export const below = (base, path, query = "") => `${base}${path}${carry ? `${carry}${query ? `&${query}` : ""}` : query ? `?${query}` : ""}`;

export const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** An icon of the sheet. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.documentElement.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

export function make(tag, { text, ...values } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}
