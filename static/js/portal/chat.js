// The chat: what a visitor writes, sees and is asked. Lines come by `connection`, and are drawn by `lines`.
import { Connection } from "./connection.js";
import { askForEmail, forgetEmail } from "./email.js";
import { say, seen, watch } from "./frame.js";
import { Lines } from "./lines.js";
import { openMenu } from "./menu.js";
import { Rating } from "./rating.js";
import { below, begin, call, fill, icon, isSigned, kept, make, newId, places, token, words } from "./session.js";

const TYPING_MS = 3_000;
const TYPING_SHOWN_MS = 6_000;
const SUGGEST_MS = 400;
const BACK_MS = 4_000;
const LOOK_MS = 60_000;
const LOST = new Set(["reconnecting", "offline"]);
const id = (name) => document.getElementById(name);
const main = id("main");
const text = id("text");
const language = document.documentElement.lang || "en";
const soon = new Intl.DateTimeFormat(language, { weekday: "short", hour: "numeric", minute: "2-digit" });
let snapshot = null;
let typedAt = 0;
let typingOver = 0;
let backOver = 0;
let suggesting = 0;
let unread = 0;
let [readOf, readSeq] = [null, 0]; // a conversation, and how far in it
let desk = {};
let [looks, lookedAt] = [0, 0];
let isAsked = false; // to send, once the files are there
const uploads = new Map(); // local id → { id, name, size } or null while it goes on

const lines = new Lines({ box: id("lines"), list: id("list"), below: id("below"), again });
const rating = new Rating(id("rating"), id("rated"), lookAtDesk);
const connection = new Connection(main.dataset.wsPort, {
  line(frame) {
    const isNew = lines.add(frame);
    if (!isNew || frame.author === "customer") return;
    id("typing").hidden = true;
    if (!seen()) { unread += 1; say("unread", { count: unread }); }
    noteRead();
  },
  snapshot(frame) {
    const before = snapshot?.status;
    snapshot = frame;
    id("more").disabled = !token();
    showStatus();
    if (frame.read) lines.markRead(frame.conversation, frame.read.agent);
    noteRead();
    if (before !== frame.status) lookAtDesk();
  },
  accepted(client) { lines.mark(client, "sent"); },
  refused(client, error) { lines.mark(client, "failed", error.message); },
  typing(frame) {
    clearTimeout(typingOver);
    lines.keepPlace(() => { id("typing").hidden = false; id("typing-name").textContent = fill(words.typing, { name: frame.name || words.someone }); });
    typingOver = setTimeout(() => { id("typing").hidden = true; }, TYPING_SHOWN_MS);
  },
  state(name, wait) {
    const place = id("connection");
    const isBack = name === "live" && !place.hidden && LOST.has(place.dataset.state);
    place.dataset.state = name;
    place.textContent = name === "late" ? fill(words.too_much, { n: wait }) : words[name];
    place.hidden = (name === "live" && !isBack) || (name === "connecting" && !lines.count);
    clearTimeout(backOver);
    if (isBack) backOver = setTimeout(() => { place.hidden = true; }, BACK_MS);
    for (const client of connection.unsent.keys()) lines.mark(client, name === "live" || name === "slow" ? "sending" : "kept");
  },
  ended() { lines.clear(); snapshot = null; showStatus(); for (const line of connection.unsent.values()) lines.addPending(line, []); },
});

function showStatus() {
  const place = id("status");
  const { status, queue, agent } = snapshot ?? {};
  let said = "";
  if (status === "queued" || status === "new") {
    if (!queue) said = words.waiting;
    else {
      const before = queue.position - 1;
      said = before < 1 ? words.place_next : before === 1 ? words.place_one : fill(words.place, { n: before });
      if (queue.wait_seconds !== null) said += `${language.startsWith("zh") ? "" : " "}${queue.wait_seconds < 60 ? words.wait_soon : fill(words.wait_minutes, { n: Math.round(queue.wait_seconds / 60) })}`;
    }
  } else if (status === "assigned" && agent) said = fill(words.with, { name: agent });
  else if (status === "resolved") said = words.resolved;
  else if (status === "closed" || status === "spam") said = words.closed;
  lines.keepPlace(() => {
    place.hidden = !said;
    if (place.textContent !== said) place.textContent = said;
  });
}

/** Ask whether the desk is open, and whether a rating is asked for. */
async function lookAtDesk() {
  const mine = (looks += 1);
  lookedAt = Date.now();
  let told;
  try { told = await call("GET", below(places.help, "state/")); } catch { return; }
  if (mine !== looks) return;
  desk = told;
  const hours = id("hours");
  hours.hidden = desk.open;
  if (!desk.open) hours.textContent = desk.opens_at ? fill(words.opens, { time: soon.format(new Date(desk.opens_at)) }) : words.closed_now;
  if (desk.must_sign && !token() && !isSigned()) {
    hours.hidden = false;
    hours.textContent = words.must_sign;
  }
  askForAddress();
  const isBeingChanged = !id("rating").hidden && (desk.rating?.score ?? null) !== null; // what is typed there stays
  if (!isBeingChanged) lines.keepPlace(() => rating.show(desk.rating));
}

/** Ask where the answer may be sent to, while the desk is closed and no one has answered. */
function askForAddress() {
  const isWaiting = !snapshot?.status || ["new", "bot", "queued"].includes(snapshot.status);
  askForEmail(desk.asks_email && isWaiting && lines.count && !desk.email);
}

function noteRead() {
  if (!seen()) return;
  unread = 0;
  say("unread", { count: 0 });
  if (!snapshot || lines.conversation !== snapshot.conversation) return;
  if (readOf !== snapshot.conversation) [readOf, readSeq] = [snapshot.conversation, 0]; // each counts its own lines
  if (lines.lastSeq <= readSeq) return;
  if (snapshot.read && snapshot.read.customer >= lines.lastSeq) { readSeq = lines.lastSeq; return; }
  readSeq = lines.lastSeq;
  connection.read(readSeq);
}

// --- writing -------------------------------------------------------------------------------------------------------

function complain(message) {
  const place = id("composer-said");
  place.textContent = message;
  place.hidden = !message;
}

function fit() {
  text.rows = 1;
  while (text.rows < 5 && text.scrollHeight > text.clientHeight + 2) text.rows += 1;
}

async function write() {
  const written = text.value.trim();
  isAsked = [...uploads.values()].includes(null);
  if (isAsked) return; // sent when the last one is there
  const files = [...uploads.values()];
  if (!written && !files.length) return;
  const line = { type: "line", client_id: newId(), text: written, files: files.map((file) => file.id) };
  text.value = "";
  kept.set("draft", null);
  fit();
  complain("");
  uploads.clear();
  drawFiles();
  hideSuggestions();
  lines.addPending(line, files);
  connection.add(line);
  askForAddress();
  await connect(line.client_id);
}

/** Begin a session where there is none, and hold a connection. */
async function connect(client) {
  try {
    await begin();
    connection.start();
  } catch (error) {
    if (error.status === 0 || error.status >= 500) { // no way to the server: tried again by itself
      connection.say(navigator.onLine ? "reconnecting" : "offline");
      setTimeout(() => connect(client), 4_000);
    } else if (error.status === 429) {
      setTimeout(() => connect(client), 1000 * (error.wait || 5));
    } else connection.refuse(client, error.code === "identity_not_signed" ? new Error(words.must_sign) : error);
  }
}

/** Send a line that was refused once more. */
function again(client) {
  lines.mark(client, "kept");
  connection.addAgain(client);
  connect(client);
}

id("composer").addEventListener("submit", (event) => { event.preventDefault(); write(); });
text.addEventListener("keydown", (event) => {
  // While a Chinese word is composed, Enter chooses it.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) { event.preventDefault(); write(); }
});
text.addEventListener("input", () => {
  isAsked = false; // what one goes on to write is not sent half
  fit();
  kept.set("draft", text.value || null);
  if (performance.now() - typedAt > TYPING_MS || !typedAt) {
    typedAt = performance.now();
    connection.tell({ type: "typing" });
  }
  clearTimeout(suggesting);
  if (isAlone()) suggesting = setTimeout(suggest, SUGGEST_MS);
});

// --- articles that may help before anyone answers ------------------------------------------------------------

/** Whether no one has the conversation yet: articles may help while a visitor writes the first line, and while they wait. */
const isAlone = () => !lines.count || ["new", "queued"].includes(snapshot?.status);

function hideSuggestions() {
  clearTimeout(suggesting);
  id("suggested").hidden = true;
}

async function suggest() {
  const asked = text.value.trim();
  if (asked.length < 2) { hideSuggestions(); return; }
  let found = [];
  try { ({ articles: found } = await call("GET", below(places.help, "suggest/", `q=${encodeURIComponent(asked.slice(0, 200))}`))); } catch { return; }
  if (text.value.trim() !== asked || !isAlone()) return;
  const list = id("suggested").querySelector("ul");
  list.replaceChildren(...found.map((article) => make("li", {}, make("a", { href: below(places.help, `a/${encodeURIComponent(article.slug)}/`), text: article.question }))));
  id("suggested").hidden = !found.length;
}

// --- files ---------------------------------------------------------------------------------------------------------

function drawFiles() {
  const list = id("files");
  list.replaceChildren(...[...uploads].map(([local, file]) => {
    const name = local.split("\n")[1];
    const remove = make("button", { type: "button", className: "tool", ariaLabel: fill(words.remove, { name }) }, icon("close"));
    remove.addEventListener("click", () => { uploads.delete(local); drawFiles(); text.focus(); });
    return make("li", { ariaBusy: String(file === null) }, icon("attach"), make("span", { text: name }), remove);
  }));
  list.hidden = !uploads.size;
}

async function upload(file) {
  const local = `${newId()}\n${file.name}`;
  if (file.size > Number(main.dataset.maxFile) * 1_048_576) { complain(words.too_large); return; }
  uploads.set(local, null);
  drawFiles();
  const body = new FormData();
  body.append("file", file);
  try {
    const made = await call("POST", `${places.chat}files/`, { body, needs: true });
    if (uploads.has(local)) uploads.set(local, made);
  } catch (error) {
    uploads.delete(local);
    isAsked = false;
    complain(error.errors[0]?.message || error.message || words.wrong);
  }
  drawFiles();
  if (isAsked) write();
}

id("file").addEventListener("change", (event) => {
  complain("");
  for (const file of event.target.files) upload(file);
  event.target.value = "";
});
text.addEventListener("paste", (event) => { for (const file of event.clipboardData?.files ?? []) upload(file); });

// --- beginning -----------------------------------------------------------------------------------------------------

function react(changed) {
  if (changed) {
    connection.stop();
    connection.last = null;
    connection.unsent.clear(); // they are another visitor's
    lines.clear();
    snapshot = null;
    showStatus();
    uploads.clear();
    isAsked = false;
    text.value = kept.get("draft") ?? "";
    for (const draw of [fit, drawFiles, forgetEmail]) draw();
    rating.show(null);
    lookAtDesk();
  } else if (seen() && Date.now() - lookedAt > LOOK_MS) lookAtDesk(); // it may have opened meanwhile
  if (isSigned() && seen() && !connection.isOn) connect(); // what was written on other devices is shown at once
  else if (changed) resume();
  noteRead();
}

function resume() {
  for (const line of connection.unsent.values()) lines.addPending(line, []);
  if (token()) connection.start();
  else if (connection.unsent.size) connect([...connection.unsent.keys()][0]);
  id("more").disabled = !token();
}

// Held back until now: without a script to catch it, a form that is sent would load the page anew and lose what was written.
for (const name of ["composer", "rating", "email"]) id(name).querySelector("[type=submit]").disabled = false;
openMenu({ button: id("more"), conversation: () => snapshot?.conversation, desk: () => desk });
// What was typed before the script was there is kept; else what was left the last time.
text.value ||= kept.get("draft") ?? "";
kept.set("draft", text.value || null);
fit();
resume();
watch(react);
lookAtDesk();
react(false); // the site may have said who the visitor is before
if (matchMedia("(hover: hover)").matches && document.documentElement.dataset.embedded === undefined) text.focus({ preventScroll: true });
