// The pages of jobs: the log of a run while it is written, the next fire times while a schedule is typed, the bar of a selection.
// Everything but what is live works without this.
const LOOK_MS = 1000;
const MAX_CHARACTERS = 2_000_000; // of a followed log in the page; the rest is a link away

// --- a log that is being written, on the page of its run or beside a list of runs --------------------------------
function append(log, text) {
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(text);
  while (log.textContent.length > MAX_CHARACTERS && log.firstChild !== log.lastChild) log.firstChild.remove();
  if (follows) log.scrollTop = log.scrollHeight;
}

async function follow(log, said) {
  if (!log.isConnected) return; // the panel was closed
  if (!document.hidden) {
    try {
      const answer = await fetch(`${log.dataset.url}?from=${log.dataset.end}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const told = await answer.json();
      if (!log.isConnected) return;
      if (told.text) append(log, told.text);
      log.dataset.end = told.end;
      said.textContent = told.open ? log.dataset.live : told.state.label;
      if (told.more) { setTimeout(follow, 0, log, said); return; }
      if (!told.open) { location.reload(); return; } // the buttons and the facts are those of a run that has ended
    } catch { said.textContent = log.dataset.lost; }
  }
  setTimeout(follow, LOOK_MS, log, said);
}

function showLog(root) {
  const log = root.querySelector("#job-log");
  if (!log) return;
  log.scrollTop = log.scrollHeight;
  if ("follow" in log.dataset) follow(log, root.querySelector("#log-state"));
}
showLog(document);
document.addEventListener("panel:open", (event) => showLog(event.detail.root));

// --- the form of a job ---------------------------------------------------------------------------------------
const form = document.getElementById("job-form");
const NEEDED = { cron: ["cron"], interval: ["number", "unit"], once: ["at"] };
let timer = 0;
let asked = 0;

function showNeeded() {
  for (const [kind, names] of Object.entries(NEEDED)) {
    for (const name of names) form.querySelector(`[data-field="${name}"]`).hidden = form.elements.kind.value !== kind;
  }
}

async function preview() {
  const query = new URLSearchParams({ job: form.dataset.job ?? "" });
  for (const name of ["kind", "cron", "number", "unit", "at", "time_zone", "calendar", "starts_at", "ends_at"]) query.set(name, form.elements[name].value);
  asked += 1;
  const mine = asked;
  try {
    const answer = await fetch(`${form.dataset.preview}?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected || mine !== asked) return;
    const told = await answer.json();
    form.querySelector("[data-words]").textContent = told.words;
    form.querySelector("[data-error]").textContent = told.error;
    form.querySelector("[data-times]").replaceChildren(...told.times.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
  } catch { /* the next change asks again */ }
}
if (form) {
  showNeeded();
  preview();
  form.addEventListener("input", () => { showNeeded(); clearTimeout(timer); timer = setTimeout(preview, 300); });
}

// --- the bar of a selection, which outlasts the list's refreshes ------------------------------------------------
const bar = document.querySelector("#jobs-form [data-bulk]");
if (bar) {
  const chosen = new Set();
  const show = () => { bar.hidden = chosen.size === 0; bar.querySelector("[data-count]").textContent = String(chosen.size); };
  document.addEventListener("change", (event) => {
    if (event.target.name !== "job" || event.target.type !== "checkbox") return;
    if (event.target.checked) chosen.add(event.target.value); else chosen.delete(event.target.value);
    show();
  });
  new MutationObserver(() => {
    for (const box of document.querySelectorAll("input[name=job]")) box.checked = chosen.has(box.value);
  }).observe(document.getElementById("content"), { childList: true, subtree: true });
}
