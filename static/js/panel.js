// A row opens beside its list: <table data-panel>. The panel shows the row's own page, without the frame, and has a link of its own
// (#row=/address). Without this script, on a phone, and with a modifier key the row is a page as always.
import { asCards } from "./cards.js";
import { follow } from "./refresh.js";
import { tellTimes } from "./times.js";

const WIDE = matchMedia("(min-width: 1024px)");
const CONTROLS = "a, button, input, select, textarea, label, summary, [role=button]";
const MARK = "#row=";
const panel = document.getElementById("panel");
const body = panel?.querySelector("[data-body]");
let shown = "";
let opener = null;

const linkOf = (row) => row.querySelector("th a[href], td a[href]");
const rows = () => [...document.querySelectorAll("table[data-panel] tbody tr")].filter((row) => !panel.contains(row));

function isOffered(address) {
  // Only what the list offers: an address in a link that was sent by others must not fill our panel with anything else.
  if (rows().some((row) => linkOf(row)?.getAttribute("href") === address)) return true;
  const { pathname } = new URL(address, location.href);
  return address.startsWith("/") && !address.startsWith("//") && pathname.startsWith(location.pathname) && pathname.endsWith("/change/");
}

function settle(content, address) {
  // What is relative in a page is relative to that page.
  for (const link of content.querySelectorAll("a[href]")) link.href = new URL(link.getAttribute("href"), address).href;
  for (const form of content.querySelectorAll("form")) form.action = new URL(form.getAttribute("action") || "", address).href;
  for (const heading of content.querySelectorAll("h1")) { const lower = document.createElement("h2"); lower.replaceChildren(...heading.childNodes); heading.replaceWith(lower); }
  content.querySelectorAll("script, link, style").forEach((element) => element.remove());
}

function mark() {
  for (const row of rows()) {
    const on = Boolean(shown) && linkOf(row)?.getAttribute("href") === shown;
    row.toggleAttribute("data-open", on);
  }
}

async function open(address) {
  shown = address;
  mark();
  const whole = new URL(address, location.origin);
  panel.querySelector("[data-page]").href = whole.href;
  panel.setAttribute("aria-busy", "true");
  panel.hidden = false;
  document.body.classList.add("has-panel");
  try {
    const answer = await fetch(whole, { headers: { Accept: "text/html", "X-Panel": "1" } });
    if (shown !== address) return;  // another row was opened meanwhile
    if (answer.redirected) { location.assign(whole); return; }
    const content = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
    if (!content) throw new Error("no content");
    settle(content, whole.href);
    body.replaceChildren(...[...content.childNodes].map((node) => document.adoptNode(node)));
    tellTimes(body);
    asCards(body);
    follow(body, () => whole.href);
    document.dispatchEvent(new CustomEvent("panel:open", { detail: { root: body, address: whole.href } }));
  } catch {
    if (shown !== address) return;
    const said = document.createElement("p");
    said.className = "note tone-failed";
    said.textContent = panel.dataset.failed;
    body.replaceChildren(said);
  } finally {
    if (shown === address) { panel.removeAttribute("aria-busy"); panel.focus({ preventScroll: true }); }
  }
}

function close() {
  shown = "";
  mark();
  panel.hidden = true;
  body.replaceChildren();
  document.body.classList.remove("has-panel");
  document.dispatchEvent(new CustomEvent("panel:close"));
  opener?.focus({ preventScroll: true });
  opener = null;
}

function follows() {
  const address = location.hash.startsWith(MARK) ? decodeURIComponent(location.hash.slice(MARK.length)) : "";
  if (address && isOffered(address)) { if (address !== shown) open(address); }
  else if (shown) close();
}

if (panel && document.querySelector("table[data-panel]")) {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !WIDE.matches) return;
    const row = event.target.closest("table[data-panel] tbody tr");
    if (!row || panel.contains(row)) return;  // from a list in the panel one goes on to pages
    const link = linkOf(row);
    const control = event.target.closest(CONTROLS);
    if (!link || (control && control !== link) || String(getSelection())) return;
    event.preventDefault();
    opener = link;
    location.hash = MARK.slice(1) + encodeURIComponent(link.getAttribute("href"));
  });
  addEventListener("hashchange", follows);
  panel.querySelector("[data-close]").addEventListener("click", () => { location.hash = "#"; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden || event.target.closest("dialog, details[open]")) return;
    location.hash = "#";
  });
  follows();
}
