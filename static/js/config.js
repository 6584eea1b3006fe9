// The configuration's pages: blocks of a list, own values of a tenant, unsaved changes, instances live, the reach of a gray release.
// Everything but the live figures works without this: the same buttons are answered by the server.
const language = document.documentElement.lang || "en";
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const EVERY_MS = 2000;
const STALE_MS = 6000;

// --- blocks: add, remove, move -----------------------------------------------------------------------------------
let made = 0;

function isEmpty(list) {
  list.querySelector(":scope > [data-none]").hidden = list.querySelectorAll(":scope > [data-blocks] > [data-block]").length > 0;
}

function add(list) {
  made += 1;
  // A block inside a block has a place of its own: only the outermost is filled in here.
  const source = list.querySelector(":scope > template").innerHTML;
  const place = [...source.matchAll(/__new(\d+)__/g)].map((match) => Number(match[1]));
  const html = source.replaceAll(`__new${Math.min(...place)}__`, `n${made}${Date.now() % 100000}`).replaceAll(`-new${Math.min(...place)}-`, `-n${made}-`);
  const block = new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html").querySelector("li");
  list.querySelector(":scope > [data-blocks]").append(block);
  isEmpty(list);
  block.querySelector("details").open = true;
  block.querySelector("input:not([type=hidden]), select, textarea")?.focus();
}

function move(block, up) {
  const other = up ? block.previousElementSibling : block.nextElementSibling;
  if (!other) return;
  if (up) other.before(block); else other.after(block);
}

function rename(block) {
  const named = block.querySelector("input[name$='.name'], input[name$='.intent'], input[name$='.provider'], input[name$='.value']");
  const word = named?.value || block.querySelector("select[name$='.channel']")?.selectedOptions[0]?.textContent;
  if (word) block.querySelector("summary .name").textContent = word;
}

const form = document.getElementById("module-form");
let isDirty = false;

form?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add], [data-remove], [data-up], [data-down]");
  if (!button) return;
  event.preventDefault();
  isDirty = true;
  const block = button.closest("[data-block]");
  if ("add" in button.dataset) add(button.closest("[data-list]"));
  else if ("remove" in button.dataset) { const list = block.closest("[data-list]"); block.remove(); isEmpty(list); list.querySelector(":scope > [data-add]")?.focus(); }
  else { move(block, "up" in button.dataset); button.focus(); }
});
form?.addEventListener("input", (event) => {
  isDirty = true;
  const block = event.target.closest("[data-block]");
  if (block) rename(block);
});
form?.addEventListener("submit", () => { isDirty = false; });
addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });
document.querySelector("[data-opened]")?.scrollIntoView({ block: "center" });
document.querySelector("#module-form .wrong")?.scrollIntoView({ block: "center" });

// --- a tenant's own values: what is inherited can't be typed into -----------------------------------------------
function follow(box) {
  const setting = box.closest(".setting, .group");
  for (const input of setting.querySelectorAll("input:not([type=hidden]), select, textarea, button")) if (input !== box) input.disabled = !box.checked;
  setting.classList.toggle("inherited", !box.checked);
}
if (form && !form.querySelector(":scope > fieldset")?.disabled) {
  for (const box of form.querySelectorAll("[data-own]")) { follow(box); box.addEventListener("change", () => follow(box)); }
}

// --- instances live ---------------------------------------------------------------------------------------------
const panel = document.querySelector("[data-live-url]");
let heardAt = 0;
let asOf = null;
const TONES = { applied: ["delivered", "sent"], behind: ["unknown", "expired"], refused: ["failed", "failed"] };

function iconed(element, tone, icon, text) {
  element.className = `badge tone-${tone}`;
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${panel.dataset.icons}#${icon}`);
  picture.append(use);
  element.replaceChildren(picture, text);
  return element;
}

function say(state) {
  const words = { live: panel.dataset.live, lost: asOf ? panel.dataset.asOf.replace("{time}", clock.format(asOf)) : panel.dataset.lost };
  iconed(panel.querySelector("[data-state]"), state === "live" ? "delivered" : "cancelled", state === "live" ? "sent" : "expired", words[state]);
  panel.classList.toggle("stale-rows", state !== "live");
}

function row(run) {
  const item = document.createElement("li");
  const line = document.createElement("span");
  line.className = "row between";
  const who = document.createElement("span");
  const kind = document.createElement("strong");
  kind.textContent = run.kind;
  const place = document.createElement("span");
  place.className = "soft";
  place.textContent = ` ${run.place}`;
  who.append(kind, place);
  const lag = run.lag_ms === null ? "" : ` · ${Math.round(run.lag_ms)} ms`;
  const badge = iconed(document.createElement("span"), ...TONES[run.state], `${run.version}${lag}`);
  badge.title = run.word;
  line.append(who, badge);
  item.append(line);
  if (run.error) { const said = document.createElement("span"); said.className = "error"; said.textContent = run.error; item.append(said); }
  return item;
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(panel.dataset.liveUrl, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) return;
    const told = await answer.json();
    if (told.away) return;
    heardAt = Date.now();
    asOf = new Date(told.as_of);
    panel.querySelector("[data-text]").textContent = told.text;
    panel.querySelector("[data-rows]").replaceChildren(...told.rows.map(row));
    say("live");
  } catch { /* the next turn asks again; meanwhile the page says how old its figures are */ }
}
if (panel) {
  look();
  setInterval(look, EVERY_MS);
  setInterval(() => { if (Date.now() - heardAt > STALE_MS) say("lost"); }, 1000);
}

// --- whom a gray release would be for ---------------------------------------------------------------------------
for (const said of document.querySelectorAll("[data-reach-url]")) {
  const holder = said.closest("form");
  let timer = 0;
  const ask = async () => {
    const query = new URLSearchParams({ percent: holder.elements.percent.value || "0", labels: holder.elements.labels.value });
    try {
      const { reachUrl } = said.dataset;
      const answer = await fetch(`${reachUrl}${reachUrl.includes("?") ? "&" : "?"}${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) return;
      const told = await answer.json();
      said.textContent = told.kinds ? `${told.text}: ${told.kinds}` : told.text;
    } catch { said.textContent = ""; }
  };
  holder.addEventListener("input", (event) => { if (event.target.matches("[data-reach]")) { clearTimeout(timer); timer = setTimeout(ask, 300); } });
  ask();
}
