// What several parts of the desk know together, and the bus on which they tell each other of changes.
const target = new EventTarget();
export const on = (name, hear) => target.addEventListener(name, (event) => hear(event.detail));
export const tell = (name, detail) => target.dispatchEvent(new CustomEvent(name, { detail }));

const MAX_ROWS = 3_000;
/** Rows by id, as the server last told them or as an action has just made them. */
export const rows = new Map();
const overlays = new Map(); // id -> what actions change that the server has not answered yet, one after the other

/** Who is here: see /desk/data/me/. */
export const me = { user: null, agent: null, sees_all: false, tenant: null, tenants: [], groups: [], agents: [], intents: [], tags: [], languages: [], entrances: [], features: {} };

/** Operators may do most things without being agents, all but answer and take. */
export const mayAct = () => Boolean(me.agent) || me.sees_all;
export const onlyLooks = () => Boolean(me.user) && !mayAct();

export function keepRows(found) {
  for (const row of found) {
    rows.delete(row.id); // the last one kept is the last one to be dropped
    rows.set(row.id, row);
  }
  for (const id of rows.keys()) {
    if (rows.size <= MAX_ROWS) break;
    rows.delete(id);
  }
  if (found.length) tell("rows", new Set(found.map((row) => row.id)));
}

/** Return a row with what an action has made of it meanwhile. */
export function rowOf(id) {
  const row = rows.get(id);
  return row && overlays.has(id) ? Object.assign({}, row, ...overlays.get(id)) : row;
}

/** Show what an action will make of a row, until `settle` gets the same changes. */
export function foresee(id, changes) {
  overlays.set(id, [...(overlays.get(id) ?? []), changes]);
  tell("rows", new Set([id]));
  return changes;
}

export function settle(id, changes) {
  const others = (overlays.get(id) ?? []).filter((each) => each !== changes);
  if (others.length) overlays.set(id, others); else overlays.delete(id);
  tell("rows", new Set([id]));
}
