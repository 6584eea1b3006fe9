// What an agent is told: mentions, assignments, texts of customers, clocks. In the page, in its title, and where it is allowed by the browser.
import { open } from "./address.js";
import { read, send } from "./api.js";
import { $ } from "./dom.js";
import { openMenu } from "./menu.js";
import { me, on } from "./store.js";
import { ago, fill, number, words } from "./texts.js";
import { toast } from "./toast.js";

const KEY = "posthaste.desk.notifications";
const MOST = 50;
const place = $("notices");
const title = document.title;
let notices = [];
let newest = "";
let isFirst = true;
let timer = 0;

const isWanted = () => { try { return localStorage.getItem(KEY) === "on"; } catch { return false; } };
const unread = () => notices.filter((notice) => !notice.read);

const nameOf = (notice) => notice.customer || (notice.ticket ? `#${notice.ticket}` : "");

function draw() {
  const n = unread().length;
  const count = place.querySelector("[data-count]");
  count.hidden = !n;
  count.textContent = n > 99 ? "99+" : number(n);
  document.title = n ? `(${number(n)}) ${title}` : title;
}

function notify(notice) {
  if (!isWanted() || !("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
  const kind = words.notices[notice.kind] ?? notice.kind;
  let shown;
  try {
    shown = new Notification(fill(words.notificationTitle, { kind, name: nameOf(notice) }), { tag: notice.id, icon: document.querySelector("link[rel=icon]").href });
  } catch { return; } // browsers of phones know no notices of pages
  shown.addEventListener("click", () => { window.focus(); follow(notice); shown.close(); });
}

function add(told) {
  const known = new Set(notices.map((notice) => notice.id));
  const fresh = told.filter((notice) => !known.has(notice.id));
  notices = [...fresh, ...notices].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, MOST);
  draw();
  if (!isFirst) fresh.forEach(notify);
}

async function look() {
  clearTimeout(timer);
  timer = 0;
  if (!me.agent) return;
  try {
    const told = await read("notices/", { after: newest });
    add(told.notices ?? []);
    newest = notices[0]?.id ?? newest;
    isFirst = false;
  } catch { /* the next notice or connection looks again */ }
}

const lookSoon = () => { timer ||= setTimeout(look, 300); };

async function markRead(ids) {
  for (const notice of notices) if (ids.includes(notice.id)) notice.read = true;
  draw();
  if (ids.length) await send("notices/read/", { ids }).catch(lookSoon);
}

function follow(notice) {
  markRead([notice.id]);
  if (notice.conversation) open(notice.conversation);
  else if (notice.url) location.assign(notice.url);
}

async function switchNotifications() {
  const say = (text, tone) => toast(text, { tone });
  if (isWanted()) { try { localStorage.removeItem(KEY); } catch { /* was never kept */ } return; }
  const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
  if (answer !== "granted") { say(words.notificationsDenied, "failed"); return; }
  try { localStorage.setItem(KEY, "on"); } catch { /* for this page only */ }
  say(words.notificationsOn, "delivered");
}

function show() {
  const items = notices.slice(0, 20).map((notice) => ({
    label: words.notices[notice.kind] ?? notice.kind,
    hint: [nameOf(notice), ago(notice.at)].filter(Boolean).join(" · "),
    value: { notice },
    icon: notice.read ? "sent" : "bell",
  }));
  if (unread().length) items.push({ label: words.allRead, value: { all: true }, icon: "delivered", under: words.more });
  items.push({ label: isWanted() ? words.notificationsOn : words.notificationsOff, value: { toggle: true }, icon: "bell", isOn: isWanted(), under: words.more });
  openMenu(place, {
    title: notices.length ? place.title : words.noNotices,
    items,
    pick: (value) => {
      if (value.notice) follow(value.notice);
      if (value.all) markRead(unread().map((notice) => notice.id));
      if (value.toggle) switchNotifications();
    },
  });
}

place.addEventListener("click", show);
// Also taken as it is told: of two that are stored at once, the one with the lower id may be there after the other was read.
on("frame-notice", ({ notice }) => { if (!isFirst) add([notice]); lookSoon(); });
on("connected", lookSoon);
on("me", lookSoon);
on("opened", (id) => { if (id) markRead(unread().filter((notice) => notice.conversation === id).map((notice) => notice.id)); });
