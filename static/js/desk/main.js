// The desk: begins all its parts, and joins what the socket says to what they read.
import { choose } from "./address.js";
import { read } from "./api.js";
import "./bulk.js";
import "./composer.js";
import { $, desk } from "./dom.js";
import { lookNow, lookSoon, spoil } from "./inbox.js";
import "./keys.js";
import "./notices.js";
import "./presence.js";
import { isLive, startSocket } from "./socket.js";
import { me, on, rows, tell } from "./store.js";
import { openId, refreshSoon, startTalk } from "./talk.js";
import "./tenants.js";
import { fill, words } from "./texts.js";
import { sayFailed } from "./toast.js";
import { readSaved } from "./views.js";

const TYPING_MS = 5_000;
const ME_MS = 5 * 60_000;
let banner = 0;

async function readMe() {
  try {
    Object.assign(me, await read("me/"));
    desk.classList.toggle("looks-on", !me.agent);
    tell("me");
    // Who only supervises has nothing of their own.
    if (!me.agent && !new URL(location.href).searchParams.has("view")) choose({ view: "team" });
  } catch (error) { if (error.status !== 403) sayFailed(error); }
}

function sayBanner(text, isPassing = false) {
  clearTimeout(banner);
  banner = 0;
  const place = $("talk-banner");
  if (place.textContent !== text) place.textContent = text;
  if (isPassing) banner = setTimeout(() => sayBanner(viewers()), TYPING_MS);
}

let viewing = { conversation: null, agents: [] };
function viewers() {
  const others = viewing.conversation === openId() ? viewing.agents.filter((name) => name !== me.agent?.name) : [];
  return others.length ? fill(words.viewing, { names: others.join(", ") }) : "";
}

on("frame-changed", (frame) => {
  if (frame.counts) tell("counts", frame.counts);
  const ids = frame.all ? [...rows.keys()] : frame.conversations ?? [];
  spoil(ids.filter((id) => rows.has(id)));
  if (frame.all || ids.includes(openId())) refreshSoon();
  if (frame.all || ids.length || frame.counts) lookSoon();
});
on("frame-typing", (frame) => {
  if (frame.conversation !== openId() || frame.name === me.agent?.name) return;
  sayBanner(fill(frame.author === "customer" ? words.typing : words.replying, { name: frame.name || words.withCustomer }), true);
});
on("frame-viewing", (frame) => { viewing = frame; sayBanner(viewers()); });
let taken = null;
on("watch", () => { clearTimeout(banner); banner = 0; });
on("talk", ({ detail }) => {
  if (!detail || detail === taken) return;
  taken = detail; // also after a cut, in which others may have left
  viewing = { conversation: openId(), agents: (detail.collisions ?? []).map((each) => each.name ?? each) };
  if (!banner) sayBanner(viewers());
});
on("stale", (id) => { spoil([id]); if (id === openId()) refreshSoon(); lookSoon(); });
let wasConnected = false;
function lookAtAll() {
  spoil(rows.keys());
  lookSoon();
  refreshSoon();
}
on("connected", () => {
  if (wasConnected || !me.user) readMe();
  wasConnected = true;
  lookAtAll(); // what has changed before this connection was there, no frame has told
});
on("look", lookAtAll);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { if (isLive()) lookSoon(); else lookAtAll(); } });
let isLeaving = false;
// The page leads to the sign-in and back; what was begun is kept, but not in a form: that one says so itself when it is sent.
// Where nothing was ever read, the list says why.
on("signed-out", () => {
  if (!me.user || isLeaving || document.querySelector("dialog[open]")) return;
  isLeaving = true;
  location.reload();
});
addEventListener("pageshow", (event) => { if (event.persisted) lookAtAll(); });

startTalk();
lookNow({ isNew: true });
readMe();
readSaved();
startSocket();
setInterval(readMe, ME_MS);
