// The address keeps what one looks at: the view, the filters, the sorting, and the conversation that is open.
import { desk } from "./dom.js";
import { tell } from "./store.js";
import { words } from "./texts.js";

export const FILTERS = ["q", "group", "agent", "tag", "intent", "language", "entrance", "priority"];
const DEFAULTS = { view: "mine", sort: "oldest" };
const CONVERSATION = /\/c\/([0-9a-f-]{36})\/$/;

/** Return the parameters of the inbox as the address tells them. */
export function inboxOf(address = location) {
  const query = new URLSearchParams(address.search);
  const found = { view: query.get("view") ?? DEFAULTS.view, sort: query.get("sort") ?? DEFAULTS.sort };
  if (!(found.view in words.views)) found.view = DEFAULTS.view;
  if (!(found.sort in words.sorts)) found.sort = DEFAULTS.sort;
  for (const name of FILTERS) if (query.get(name)) found[name] = query.get(name);
  return found;
}

export const openOf = (address = location) => CONVERSATION.exec(address.pathname)?.[1] ?? null;

function go(path, inbox, { replaces }) {
  const query = new URLSearchParams();
  for (const name of ["view", "sort", ...FILTERS]) if (inbox[name] && inbox[name] !== DEFAULTS[name]) query.set(name, inbox[name]);
  if (desk.dataset.tenant) query.set("tenant", desk.dataset.tenant);
  const address = `${path}${query.size ? `?${query}` : ""}`;
  if (address === location.pathname + location.search) return;
  if (replaces) history.replaceState(null, "", address); else history.pushState(null, "", address);
}

/** Change the view, a filter or the sorting; null takes a filter away. */
export function choose(changes) {
  go(location.pathname, { ...inboxOf(), ...changes }, { replaces: true });
  tell("inbox-chosen");
}

/** Show exactly these filters: a saved one, or none. */
export function chooseOnly(inbox) {
  go(location.pathname, { ...DEFAULTS, ...inbox }, { replaces: true });
  tell("inbox-chosen");
}

/** Open a conversation, or with null the list alone. */
export function open(id) {
  const before = openOf();
  if (before === id) { tell("opened", id); return; }
  // From one conversation to the next the way back is the list, not the whole day.
  go(id ? `${desk.dataset.root}c/${id}/` : desk.dataset.root, inboxOf(), { replaces: Boolean(before && id) });
  tell("opened", id);
}

export const addressOfConversation = (id) => `${desk.dataset.root}c/${id}/`;
export const isFiltered = (inbox = inboxOf()) => FILTERS.some((name) => inbox[name]);

addEventListener("popstate", () => { tell("inbox-chosen"); tell("opened", openOf()); });
