// One ticket of the visitor: how far it is, what was written, a box to write on while that is possible, a rating.
import { drawnLine } from "./lines.js";
import { Rating } from "./rating.js";
import { below, call, fill, make, newId, places, token, words } from "./session.js";

const LOOK_MS = 20_000;
const SOON_MS = 1_500; // after a line was sent, until it is shown
const SOON_TIMES = 8;
const id = (name) => document.getElementById(name);
const page = id("one-request");
const form = id("reply");
const text = id("text");
const button = form.querySelector("button");
const path = `tickets/${page.dataset.number}/`;
const day = new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium" });
const dated = (at) => day.format(new Date(at));
const rating = new Rating(id("rating"), id("rated"), () => look(), `${path}rating/`);
const rest = document.title.replace(/^[^·]*/, ""); // the name of the portal
const shown = new Set(); // ids of lines
const pending = new Map(); // client id → element
let client = newId();
let timer = 0;
let turn = 0; // of looks: only the last one's answer is shown
let soon = 0;
let kind = "";

function draw(found) {
  document.title = `#${found.number} ${found.subject} ${rest}`;
  id("subject").textContent = found.subject;
  id("status").className = `badge tone-${found.tone}`;
  id("status").textContent = found.label;
  id("about").textContent = `#${found.number} · ${found.type} · ${fill(words.opened, { date: dated(found.opened_at) })}`;
  id("facts").replaceChildren(...found.fields.flatMap(({ label, value }) => [make("dt", { text: label }), make("dd", { text: value })]));
  id("facts").hidden = !found.fields.length;
  for (const line of found.lines) add(line);
  id("said-none").hidden = id("said").childElementCount > 0;
  id("said-none").textContent = words.empty;
  drawReply(found.reply);
  const isBeingChanged = !id("rating").hidden && found.rating;
  if (!isBeingChanged) rating.show(found.rating ?? (found.may_rate ? { score: null, open: true } : null));
  page.hidden = false;
}

function add(line) {
  if (shown.has(line.id)) return;
  shown.add(line.id);
  const element = drawnLine(line, dated);
  const before = pending.get(line.client_id);
  pending.delete(line.client_id);
  if (before) before.replaceWith(element); else id("said").insertBefore(element, id("said").querySelector("[data-pending]"));
}

function drawReply(reply) {
  kind = reply.kind;
  const takes = kind === "answer" || kind === "reopen";
  form.hidden = !takes;
  id("no-reply").hidden = takes;
  id("why-not").textContent = takes ? "" : words[kind];
  id("reply-label").textContent = takes ? fill(words[kind], { date: reply.until ? dated(reply.until) : "" }) : "";
  button.textContent = kind === "reopen" ? words.open_again : words.send;
}

function nothing(isOurs) {
  id("request-said").hidden = true;
  id("request-none").hidden = !isOurs;
  page.hidden = true;
}

async function look({ isFirst = false } = {}) {
  clearTimeout(timer);
  if (!token()) { nothing(true); return; }
  if (isFirst) id("request-said").hidden = false;
  const mine = (turn += 1);
  try {
    const found = await call("GET", below(places.help, path));
    if (mine !== turn) return;
    draw(found);
    id("request-said").hidden = id("request-again").hidden = true;
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 404 || error.status === 401) { nothing(true); return; }
    if (page.hidden) { // what is shown already stays
      id("request-said").hidden = id("request-again").hidden = false;
      id("request-said").textContent = words.unread;
      return;
    }
  }
  if (pending.size && soon > 0) soon -= 1;
  timer = setTimeout(() => { if (document.visibilityState === "visible" || pending.size) look(); }, pending.size && soon ? SOON_MS : LOOK_MS);
}

function complain(message) {
  id("reply-error").textContent = message;
  id("reply-error").hidden = !message;
  if (message) text.setAttribute("aria-invalid", "true"); else text.removeAttribute("aria-invalid");
}

async function send() {
  const body = { client_id: client, text: text.value };
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  complain("");
  try {
    await call("POST", below(places.help, path), { body });
    const element = drawnLine({ author: "customer", text: body.text, files: [], at: new Date().toISOString() }, dated);
    element.dataset.pending = client;
    element.querySelector(".foot").append(make("span", { className: "state", text: words.on_its_way }));
    pending.set(client, element);
    id("said").append(element);
    element.scrollIntoView({ block: "nearest" });
    text.value = "";
    client = newId();
    soon = SOON_TIMES;
    id("said-none").hidden = true;
    look();
  } catch (error) {
    complain(error.errors?.[0]?.message || error.message || words.wrong);
    text.focus();
  } finally {
    button.disabled = false;
    if (hadFocus && document.activeElement === document.body) button.focus();
  }
}

form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
id("request-again").querySelector("button").addEventListener("click", () => look({ isFirst: true }));
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible" && !page.hidden) look(); });
button.disabled = false; // held back until someone listens
id("rating").querySelector("[type=submit]").disabled = false;
look({ isFirst: true });
