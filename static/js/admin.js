// What every admin page does: times in the reader's zone, copying, folding the rail, menus, keys, parts that refresh themselves.
import "./cards.js";
import "./panel.js";
import "./search.js";
import { follow } from "./refresh.js";
import { tellTimes } from "./times.js";

document.querySelector(":is(.form-row.errors, .setting.wrong) :is(input:not([type=hidden]), select, textarea)")?.focus();
document.querySelector("#rail [aria-current]")?.scrollIntoView({ block: "nearest" });
tellTimes();
setInterval(tellTimes, 30_000);
follow();

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

// A new row's choices are those of its tenant: where another one is chosen they are read again. All else stays as it was typed.
document.addEventListener("change", async ({ target }) => {
  if (!target.matches("select[name=tenant]") || !target.form?.querySelector("[data-of-tenant]")) return;
  const address = new URL(location);
  address.searchParams.set("tenant", target.value);
  let page;
  try {
    const answer = await fetch(address);
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch { location.assign(address); return; } // the page, or the browser, says why
  if (address.searchParams.get("tenant") !== target.value) return; // another one was chosen meanwhile
  for (const field of target.form.querySelectorAll("[data-of-tenant]")) {
    // A row that was added here is none of the page: what it offers is in the row that new ones are made from.
    const names = [field.name, field.name.replace(/-\d+-/, "-__prefix__-")];
    const fresh = names.map((name) => page.getElementsByName(name)[0]).find(Boolean);
    field.replaceChildren(...(fresh?.cloneNode(true).childNodes ?? []));
  }
  history.replaceState(null, "", address);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "?") document.getElementById("keys")?.showModal();
  const links = [...document.querySelectorAll("table.rows tbody tr")].map((row) => row.querySelector("th a, td a")).filter(Boolean);
  const at = links.indexOf(document.activeElement);
  if (event.key === "j" && links.length) links[Math.min(at + 1, links.length - 1)].focus();
  if (event.key === "k" && links.length) links[Math.max(at - 1, 0)].focus();
});

// Pressed twice, a form is sent once: the second press comes before the next page is there.
const AGAIN_MS = 3_000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method")?.toLowerCase() !== "post") return;
  if (performance.now() - Number(form.dataset.sentAt ?? -AGAIN_MS) < AGAIN_MS) event.preventDefault(); else form.dataset.sentAt = performance.now();
});

// How many of the selected rows there are of each reason, beside what is done to them.
const reasons = document.querySelector("[data-reasons]");
if (reasons) {
  const count = () => {
    const found = new Map();
    for (const mark of document.querySelectorAll("#result_list tr:has(input.action-select:checked) [data-reason]")) found.set(mark.dataset.reason, (found.get(mark.dataset.reason) ?? 0) + 1);
    reasons.textContent = [...found].sort((one, other) => other[1] - one[1]).map(([reason, number]) => `${reason} ${number}`).join(" · ");
  };
  document.addEventListener("change", count);
  document.addEventListener("click", () => setTimeout(count));
  count();
}
