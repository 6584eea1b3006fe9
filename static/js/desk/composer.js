// Where one writes: replies and notes, each with its draft. What is sent stands in the conversation at once.
import { act } from "./actions.js";
import { read } from "./api.js";
import { ENDED } from "./choosing.js";
import { mentionsIn, startCompleting } from "./completing.js";
import { $, button, el, icon, isWide } from "./dom.js";
import { comingId, draftOf, draftSent, dropDraft, keepDraft, pushDrafts } from "./drafts.js";
import { filesFor, giveFiles, namesOfFiles, takeFiles } from "./files.js";
import { addPending, changePending, dropPending, findPending } from "./pending.js";
import { typing } from "./socket.js";
import { me, on, onlyLooks } from "./store.js";
import { exact, fill, now, number, words } from "./texts.js";
import { lastSeq, openDetail, openId } from "./talk.js";

const form = $("composer");
const field = $("composer-text");
const said = $("draft-state");
let id = null;
let isNote = false;
let touched = false; // whether one has typed since the draft was put in
let isEnded = false;
let suggested = { id: null, seq: 0, best: null };

const mode = () => (isNote ? "note" : "reply");

function grow() {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, Math.round(innerHeight * 0.4))}px`;
}

function sayDraft(state) {
  said.textContent = { kept: words.draftKept, here: words.draftHere }[state] ?? "";
}

function putDraft() {
  field.value = id ? draftOf(id, isNote, openDetail()) : "";
  touched = false;
  sayDraft(field.value ? "kept" : "");
  grow();
}

export function setMode(wanted) {
  const note = wanted || (me.sees_all && !me.agent); // who only supervises writes notes
  if (isNote !== note) { isNote = note; putDraft(); }
  form.dataset.mode = mode();
  for (const tab of form.querySelectorAll("[data-mode]")) tab.setAttribute("aria-pressed", String(tab.dataset.mode === mode()));
  field.placeholder = isNote ? words.noteHint : isEnded ? words.closedHint : words.replyHint;
  $("composer-send").querySelector("[data-word]").textContent = isNote ? words.actions.addNote : words.send;
  form.querySelector("[data-mode=reply]").hidden = me.sees_all && !me.agent;
  field.disabled = isEnded && !isNote;
  $("composer-send").disabled = field.disabled;
}

export function write(note) {
  setMode(note);
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

// --- sending -------------------------------------------------------------------------------------------------------
async function deliver(entry) {
  changePending(entry, { state: "sending", why: "" });
  const files = entry.files.map((file) => file.id);
  const body = entry.is_note
    ? { text: entry.text, client_id: entry.client_id, mentions: entry.mentions }
    : { text: entry.text, files, client_id: entry.client_id, seen_seq: entry.seen_seq };
  try {
    await act(entry.conversation, entry.is_note ? "note" : "reply", body, { isQuiet: true, raises: true });
    dropPending([entry.client_id]);
    draftSent(entry.conversation, entry.is_note);
    // The server has forgotten the draft together with the reply; what was begun meanwhile is another one.
    if (entry.conversation === id && entry.is_note === isNote && field.value) changed();
  } catch (error) {
    const isConflict = error.code === "answered_meanwhile";
    changePending(entry, { state: isConflict ? "conflict" : "failed", why: error.message });
  }
}

async function send() {
  const text = field.value.trim();
  const lost = isNote ? [] : namesOfFiles(); // notes have no files; those of a reply count as lost until they are there
  const withFiles = lost.length > 0;
  if (!id || (!text && !withFiles) || field.disabled) return;
  performance.mark("desk:send:begin");
  const entry = { client_id: comingId(id, isNote), conversation: id, is_note: isNote, text, files: [], lost, state: "sending", why: "", at: new Date(now()).toISOString(), seen_seq: lastSeq(), mentions: isNote ? mentionsIn(text) : [] };
  // The text leaves the field at once; until it has arrived it is kept with the pending line.
  field.value = "";
  touched = false;
  dropDraft(id, isNote);
  sayDraft("");
  grow();
  addPending(entry);
  performance.mark("desk:send:shown");
  if (withFiles) {
    changePending(entry, await takeFiles());
    if (entry.lost.length) { changePending(entry, { state: "failed" }); return; }
  }
  deliver(entry);
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-pending]");
  const entry = choice && findPending(choice.dataset.client);
  if (!entry) return;
  const what = choice.dataset.pending;
  if (what === "retry") { entry.seen_seq = lastSeq(); deliver(entry); return; }
  dropPending([entry.client_id]);
  if (what !== "edit") { if (!draftOf(entry.conversation, entry.is_note)) keepDraft(entry.conversation, entry.is_note, ""); return; } // the server has a draft of it
  write(entry.is_note);
  giveFiles(entry.conversation, entry.files);
  field.value = [entry.text, field.value].filter(Boolean).join("\n");
  changed();
});

// --- around the field ----------------------------------------------------------------------------------------------
function quotaText(quota) {
  if (!quota) return "";
  const { left, until } = quota;
  if (left === 0 || !until || Date.parse(until) < now()) return words.quotaOver;
  return fill(words.quota, { left: number(left), time: exact(until) });
}

function drawAround(detail) {
  const text = quotaText(detail?.quota);
  $("composer-quota").textContent = text;
  $("composer-quota").classList.toggle("wrong", text === words.quotaOver);
  const best = suggested.id === id ? suggested.best : null;
  const place = $("composer-note");
  place.hidden = !best || isNote || isEnded;
  if (place.hidden) { place.replaceChildren(); return; }
  place.replaceChildren(icon("quote"), el("span", { class: "said" }, el("strong", {}, `${words.suggestion} · ${Math.round(100 * best.score)} % · ${best.question} `), best.answer),
    button(words.use, { kind: "btn small", onclick: () => { field.value = [field.value.trimEnd(), best.answer].filter(Boolean).join("\n"); changed(); field.focus(); } }));
}

/** Ask for an answer to what the customer wrote last, once for each of their lines. */
async function suggest(detail) {
  const seq = detail?.lines?.findLast((line) => line.author === "customer")?.seq ?? 0;
  if (!seq || isEnded || onlyLooks() || (suggested.id === id && suggested.seq === seq)) return;
  const mine = { id, seq, best: null };
  suggested = mine;
  const told = await read(`c/${mine.id}/suggestions/`).catch(() => null); // without one, an agent writes as ever
  mine.best = told?.suggestions?.[0] ?? null;
  if (suggested === mine && id === mine.id) drawAround(openDetail());
}

function changed() {
  touched = true;
  sayDraft("");
  grow();
  if (!id) return;
  const [own, note] = [id, isNote];
  keepDraft(id, isNote, field.value, (state) => { if (own === id && note === isNote) sayDraft(state); });
  if (field.value) typing(id, isNote);
  drawAround(openDetail());
}

form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
field.addEventListener("input", changed);
field.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); }
  if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); $("lines").focus(); }
});
for (const tab of form.querySelectorAll("[data-mode]")) tab.addEventListener("click", () => write(tab.dataset.mode === "note"));

on("leaving", () => pushDrafts());
on("talk", ({ id: opened, detail, row }) => {
  const isOther = opened !== id;
  id = opened;
  filesFor(id);
  isEnded = ENDED.has(row?.status);
  form.hidden = onlyLooks();
  if (isOther) isNote = false;
  setMode(isNote);
  if (isOther || !touched) putDraft();
  drawAround(detail);
  suggest(detail);
});
on("talk-row", (row) => { isEnded = ENDED.has(row?.status); setMode(isNote); });
on("me", () => { form.hidden = onlyLooks(); setMode(isNote); });
if (!isWide()) field.rows = 1; // the keyboard of a phone takes half of it
startCompleting(() => ({ id: openId(), isNote }));
