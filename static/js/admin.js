// What every admin page does: times in the reader's zone, copying, folding the rail, menus, keys, pages that refresh themselves.
import { asCards } from "./cards.js";

const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const WEEK = 604800;
const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [Infinity, "day", 86400]];

function tellTimes(root = document) {
  for (const element of root.querySelectorAll("time.ago[datetime], time.exact[datetime], time.clock[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (element.classList.contains("exact")) {
      element.textContent = exact.format(at);
      element.title = at.toISOString();
      continue;
    }
    if (element.classList.contains("clock")) {
      element.textContent = clock.format(at);
      element.title = exact.format(at);
      continue;
    }
    const seconds = (at - Date.now()) / 1000;
    if (Math.abs(seconds) > WEEK) {  // "next month" may be tomorrow
      element.textContent = day.format(at);
      element.title = exact.format(at);
      continue;
    }
    const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
    element.textContent = relative.format(Math.round(seconds / size), unit);
    element.title = exact.format(at);
  }
}

document.querySelector(".form-row.errors :is(input:not([type=hidden]), select, textarea)")?.focus();
tellTimes();
setInterval(tellTimes, 30_000);
document.addEventListener("fresh", (event) => { tellTimes(event.target); asCards(event.target.parentElement); });  // a part was replaced

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      copy.querySelector("[data-word]").textContent = copy.dataset.done;
    } catch {
      // Without permission to write: select it, so that one key copies it.
      getSelection().selectAllChildren(source);
    }
  }
  if (event.target.closest("[data-keys]")) document.getElementById("keys")?.showModal();
  if (event.target.closest("[data-fold]")) {
    const narrow = document.documentElement.dataset.rail !== "narrow";
    if (narrow) document.documentElement.dataset.rail = "narrow"; else delete document.documentElement.dataset.rail;
    try { localStorage.setItem("posthaste.rail", narrow ? "narrow" : "wide"); } catch { /* not remembered */ }
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "?") document.getElementById("keys")?.showModal();
  const rows = [...document.querySelectorAll("#result_list tbody tr")];
  const links = rows.map((row) => row.querySelector("th a, td a")).filter(Boolean);
  const at = links.indexOf(document.activeElement);
  if (event.key === "/") { const search = document.getElementById("searchbar"); if (search) { event.preventDefault(); search.focus(); search.select(); } }
  if (event.key === "j" && links.length) links[Math.min(at + 1, links.length - 1)].focus();
  if (event.key === "k" && links.length) links[Math.max(at - 1, 0)].focus();
});

// A part that goes on while one looks: <section id=… data-refresh="seconds">.
for (const part of document.querySelectorAll("[data-refresh]")) {
  const id = part.id;
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
      if (!fresh) { clearInterval(timer); return; }
      document.getElementById(id).replaceWith(fresh);
      tellTimes(fresh);
      asCards(fresh.parentElement);
      if (!fresh.dataset.refresh) clearInterval(timer);
    } catch { /* the next turn asks again */ }
  }, Number(part.dataset.refresh) * 1000);
}
