// Beside the conversation: who the customer is, what is known of them, what they wrote before.
import { addressOfConversation, open } from "./address.js";
import { $, badge, desk, el, icon } from "./dom.js";
import { ratingOf } from "./lines.js";
import { chooseLines, openTicket } from "./splitting.js";
import { mayAct, me } from "./store.js";
import { ago, exact, fill, languageName, look, words } from "./texts.js";

const panel = $("customer");
let told = "";

function section(title, ...parts) {
  const filled = parts.flat().filter(Boolean);
  return el("section", {}, el("h3", {}, title), ...(filled.length ? filled : [el("p", { class: "soft none" }, words.none)]));
}

function identity(each) {
  return el("li", {}, el("span", { class: "soft" }, each.label), el("span", { class: "value" }, each.value, each.verified && el("span", { class: "sign tone-delivered", title: words.verified }, icon("sent"), el("span", { class: "visually-hidden" }, words.verified))));
}

function shown(value) {
  if (value === null || value === "") return "–";
  return Array.isArray(value) ? value.map(shown).join(", ") : String(value);
}

function attributes(list) {
  return list.length ? el("dl", { class: "facts" }, list.flatMap((each) => [el("dt", {}, each.name), el("dd", {}, shown(each.value))])) : null;
}

function linkTo(id, title) {
  return el("a", { href: addressOfConversation(id), onclick: (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); open(id); } }, title);
}

const moment = (at) => el("time", { datetime: at, title: exact(at) }, ago(at));

function side(each) {
  return el("li", {}, linkTo(each.id, each.subject || each.to), el("span", { class: "second soft" }, each.to, each.unread > 0 && el("strong", {}, fill(words.unread, { n: each.unread })), moment(each.at)));
}

function earlier(each) {
  const title = each.subject || me.intents.find((intent) => intent.name === each.intent)?.title || each.entrance.name;
  return el("li", {}, each.can_open ? linkTo(each.id, title) : el("span", {}, title), el("span", { class: "second soft" }, badge(look("conversation", each.status)), moment(each.at), each.agent));
}

function ticket(each) {
  const name = `#${each.number} ${each.subject}`;
  return el("li", {}, each.url ? el("a", { href: each.url }, name) : el("span", {}, name), el("span", { class: "second soft" }, badge(look("ticket", each.status)), [each.type, each.agent].filter(Boolean).join(" · ")));
}

/** The tickets of this conversation, all of them, with the way to another one; then what else the customer has. */
function tickets(detail) {
  const own = detail.tickets ?? [];
  const numbers = new Set(own.map((each) => each.number));
  const others = (detail.customer.tickets ?? []).filter((each) => !numbers.has(each.number));
  const more = me.features.ticket && mayAct() && el("p", { class: "row" },
    el("button", { type: "button", class: "link", onclick: () => openTicket(detail.row.id) }, words.actions.ticket),
    el("button", { type: "button", class: "link", onclick: () => chooseLines(detail.row.id, detail) }, words.actions.split));
  return [
    section(words.talkTickets, listOf(own, ticket) ?? el("p", { class: "soft none" }, words.none), more),
    others.length ? section(words.otherTickets, listOf(others, ticket)) : null,
  ];
}

const listOf = (items, make) => (items?.length ? el("ul", { class: "plain" }, items.map(make)) : null);

setInterval(() => { if (!document.hidden) for (const time of panel.querySelectorAll("time")) time.textContent = ago(time.dateTime); }, 60_000); // "2 min" grows older

/** Draw the panel; without a detail it is empty, with a row only it says at least the name. */
export function drawCustomer(detail, row) {
  const now = JSON.stringify([detail?.customer, detail?.ratings, detail?.sides, detail?.tickets, detail?.row?.id, row?.customer, me.intents.length, me.features.ticket]);
  if (now === told) return;
  told = now;
  const customer = detail?.customer ?? row?.customer;
  panel.classList.toggle("empty-panel", !customer);
  panel.setAttribute("aria-busy", String(Boolean(row) && !detail));
  if (!customer) { panel.replaceChildren(); return; }
  const head = el("header", { class: "customer-head" },
    el("button", { type: "button", class: "tool", data: { customerClose: "1" }, title: words.close, "aria-label": words.close }, icon("close")),
    el("h2", {}, customer.name || words.noName),
    el("a", { class: "tool", href: `${desk.dataset.customers}${customer.id}/change/`, title: words.customerPage, "aria-label": words.customerPage }, icon("up")));
  if (!detail) { panel.replaceChildren(head, el("div", { class: "shape" }), el("div", { class: "shape" })); return; }
  const level = detail.row.customer.level;
  const facts = [level && [words.level, level], customer.language && [words.language, languageName(customer.language)]].filter(Boolean);
  panel.replaceChildren(...[
    head,
    facts.length ? el("dl", { class: "facts" }, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])) : null,
    customer.note && el("p", { class: "customer-note" }, icon("note"), customer.note),
    detail.ratings?.length ? section(words.rating, detail.ratings.map((rating) => ratingOf({ rating }, ago))) : null,
    section(words.identities, listOf(customer.identities, identity)),
    section(words.attributes, attributes(customer.attributes ?? [])),
    ...tickets(detail),
    detail.sides?.length ? section(words.side, listOf(detail.sides, side)) : null,
    section(words.history, listOf((customer.history ?? []).filter((each) => each.id !== detail.row.id), earlier)),
  ].filter(Boolean));
}
