// What the desk asks its data addresses. Every refusal is a `Refused` that says in words what to do.
import { desk } from "./dom.js";
import { tell } from "./store.js";
import { words } from "./texts.js";

/** Return the token of now: who signs in again, in another tab, has another one than this page was made with. */
const csrf = () => /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? desk.querySelector("[name=csrfmiddlewaretoken]").value;
const LONGEST_MS = 30_000;
const base = `${desk.dataset.root}data/`;

/** An answer that is no success, or none at all (status 0). */
export class Refused extends Error {
  constructor(status, problem = {}) {
    const told = [problem.detail, ...(problem.errors ?? []).map((error) => error.message)].filter(Boolean).join(" ");
    super(told || problem.title || (status === 0 ? words.offline : words.failed));
    this.status = status;
    this.code = problem.code ?? "";
    this.problem = problem;
  }
}

export function addressOf(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  if (desk.dataset.tenant) query.set("tenant", desk.dataset.tenant);
  return `${base}${path}${query.size ? `?${query}` : ""}`;
}

async function ask(address, options) {
  let answer;
  const late = AbortSignal.timeout(LONGEST_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  try {
    answer = await fetch(address, { ...options, signal, headers: { Accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0);
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  // An old token against forged requests: one has signed in anew meanwhile.
  if (answer.redirected || answer.status === 401 || told.code === "csrf") {
    tell("signed-out");
    throw new Refused(401, { detail: words.signedOut });
  }
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

export const read = (path, parameters, signal) => ask(addressOf(path, parameters), { signal });

export const send = (path, body = {}, method = "POST") =>
  ask(addressOf(path), { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() } });

export function upload(file) {
  const form = new FormData();
  form.append("file", file);
  return ask(addressOf("files/"), { method: "POST", body: form, headers: { "X-CSRFToken": csrf() } });
}

export function newId() {
  // Not `randomUUID`: it is missing where the desk is opened over plain HTTP in an own network.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
