// One row of the list: who, what was last said, and what is urgent about it.
import { addressOfConversation } from "./address.js";
import { showClock } from "./clocks.js";
import { el, icon } from "./dom.js";
import { me, rowOf } from "./store.js";
import { ago, exact, fill, look, priorityOf, words } from "./texts.js";

const URGENT = 7;

export function makeRow() {
  const box = el("input", { type: "checkbox", tabindex: "-1" });
  const name = el("a", { class: "name", tabindex: "-1" });
  return el("div", { class: "item", role: "row" },
    el("span", { class: "pick", role: "gridcell" }, box),
    el("span", { class: "body", role: "gridcell" },
      el("span", { class: "first" }, el("span", { class: "marks" }), name, el("time", { class: "when" })),
      el("span", { class: "snippet" }),
      el("span", { class: "third" })));
}

const mini = (name, text, tone = "") => el("span", { class: `mini${tone && ` tone-${tone}`}` }, icon(name), el("span", { class: "text" }, text));

function marks(row) {
  const found = [];
  const priority = priorityOf(row.priority);
  if (row.priority >= URGENT) found.push(el("span", { class: `sign tone-${priority.tone}`, title: priority.label }, icon("flag"), el("span", { class: "visually-hidden" }, priority.label)));
  return found;
}

function snippet(row) {
  if (row.draft) return [el("em", { class: "draft" }, fill(words.draftOf, { text: "" }).trim()), " ", row.draft];
  if (row.snippet_author === "agent" || row.snippet_author === "bot") return [icon(row.snippet_author === "bot" ? "auto" : "reply"), row.snippet];
  return [row.snippet || row.subject];
}

function third(row) {
  const found = [];
  if (row.status !== "assigned") {
    const shown = look("conversation", row.status);
    found.push(mini(shown.icon, shown.label, shown.tone));
  }
  if (row.agent && row.agent.id !== me.agent?.id) found.push(mini("user", row.agent.name));
  if (row.intent) found.push(mini("target", row.intent.title || row.intent.name));
  for (const tag of row.tags ?? []) found.push(mini("tag", tag));
  return found;
}

function clockOf(row) {
  if (row.snoozed_until) return el("span", { class: "mini clock", title: exact(row.snoozed_until) }, icon("snooze"), ago(row.snoozed_until));
  if (!row.clock) return null;
  const shown = el("span", { class: "mini clock" });
  showClock(shown, row.clock);
  return shown;
}

/** Put a row into its element; without one, the shape of what comes. */
export function drawRow(element, id, index, { active, picked, opened, gone }) {
  const row = rowOf(id);
  const [pick, body] = element.children;
  element.id = `row-${index}`;
  element.dataset.id = id;
  element.setAttribute("aria-rowindex", index + 1);
  element.setAttribute("aria-selected", String(picked));
  element.classList.toggle("active", active);
  element.classList.toggle("opened", opened);
  element.classList.toggle("loading", !row);
  element.classList.toggle("gone", gone);
  const box = pick.firstChild;
  box.checked = picked;
  const [first, said, last] = body.children;
  const [before, name, when] = first.children;
  name.href = addressOfConversation(id);
  if (!row) {
    box.setAttribute("aria-label", "…");
    before.replaceChildren();
    name.textContent = "\u00a0";
    name.setAttribute("aria-label", "…");
    when.textContent = "";
    said.replaceChildren("\u00a0");
    last.replaceChildren();
    element.classList.remove("unread");
    return;
  }
  const who = row.customer?.name || words.noName;
  name.removeAttribute("aria-label");
  box.setAttribute("aria-label", fill(words.select, { name: who }));
  element.classList.toggle("unread", row.unread > 0);
  before.replaceChildren(...marks(row));
  name.replaceChildren(who, ...(row.unread > 0 ? [el("span", { class: "unread-count" }, String(Math.min(row.unread, 99)), el("span", { class: "visually-hidden" }, fill(words.unread, { n: "" })))] : []));
  when.dateTime = row.last_at ?? "";
  when.textContent = row.last_at ? ago(row.last_at) : "";
  when.title = row.last_at ? exact(row.last_at) : "";
  said.replaceChildren(...snippet(row));
  const clock = clockOf(row);
  last.replaceChildren(el("span", { class: "minis" }, ...(gone ? [el("span", { class: "mini" }, words.gone)] : third(row))), ...(clock ? [clock] : []));
}
