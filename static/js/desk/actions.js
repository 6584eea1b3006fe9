// What agents do to conversations. What an action will make of a row is shown at once, and corrected by the server's answer.
import { send } from "./api.js";
import { leave, lookSoon, settleLeft } from "./inbox.js";
import { inboxOf } from "./address.js";
import { foresee, keepRows, me, rowOf, settle, tell } from "./store.js";
import { fill, words } from "./texts.js";
import { sayFailed, toast } from "./toast.js";

const STALE = new Set([404, 409]);
const WAITING = new Set(["new", "bot", "queued"]);
const ENDED = new Set(["resolved", "closed", "spam"]);

/** Return what an action makes of a row, as far as that can be known here. */
function foreseen(action, body) {
  switch (action) {
    case "claim": return { status: "assigned", agent: me.agent && { id: me.agent.id, name: me.agent.name } };
    case "transfer": {
      const agent = me.agents.find((each) => each.id === body.agent);
      const group = me.groups.find((each) => each.id === body.group);
      return agent ? { status: "assigned", agent } : { status: "queued", agent: null, group };
    }
    case "release": return { status: "queued", agent: null };
    case "resolve": return { status: "resolved", clock: null };
    case "close": return { status: "closed", clock: null };
    case "spam": return { status: "spam", clock: null };
    case "reopen": return { status: me.agent ? "assigned" : "queued" };
    case "snooze": return { snoozed_until: body.until };
    case "priority": return { priority: body.priority };
    case "intent": return { intent: me.intents.find((each) => each.name === body.intent) ?? null, confidence: 1 };
    case "merge": return { status: "closed", clock: null };
    case "unmerge": return { status: "queued", agent: null, merged_into: null };
    case "read": return { unread: 0 };
    default: return {};
  }
}

/** Whether a row stays in the view that is shown. Where that can't be known here the next look decides. */
function staysIn(view, row) {
  const isMine = Boolean(me.agent) && row.agent?.id === me.agent.id;
  if (view === "resolved") return row.status === "resolved";
  if (ENDED.has(row.status)) return false;
  if (view === "mine") return isMine && !row.snoozed_until;
  if (view === "unassigned") return WAITING.has(row.status);
  if (view === "snoozed") return Boolean(row.snoozed_until);
  if (view === "waiting") return row.status === "assigned" && !row.snoozed_until;
  return true;
}

const UNDO = {
  resolve: (id) => act(id, "reopen"),
  close: (id) => act(id, "reopen"),
  spam: (id) => act(id, "reopen"),
  snooze: (id) => act(id, "snooze", { until: null }, { isQuiet: true }),
  claim: (id) => act(id, "release", {}, { isQuiet: true }),
  merge: (id) => act(id, "unmerge", {}, { isQuiet: true }),
};

function undoOf(id, action, body, before) {
  if (action === "snooze" && !body.until) return null;
  if (action === "priority") return () => act(id, "priority", { priority: before.priority }, { isQuiet: true });
  if (action === "intent" && before.intent) return () => act(id, "intent", { intent: before.intent.name }, { isQuiet: true });
  return UNDO[action] ? () => UNDO[action](id) : null;
}

/** Do something to a conversation; returns the answer, or null if it was refused (which was said then). */
export async function act(id, action, body = {}, { isQuiet = false, raises = false } = {}) {
  performance.mark(`desk:${action}:begin`);
  const before = rowOf(id) ?? {};
  const changes = foresee(id, foreseen(action, body));
  const isGone = action !== "read" && rowOf(id) && !staysIn(inboxOf().view, rowOf(id));
  if (isGone) leave([id]);
  performance.mark(`desk:${action}:shown`);
  try {
    const told = await send(`c/${id}/${action}/`, body);
    settle(id, changes);
    if (isGone) settleLeft([id], true);
    if (told.row) keepRows([told.row]);
    tell("acted", { id, action, told });
    if (!isQuiet && words.done[action]) toast(words.done[action], { undo: undoOf(id, action, body, before) });
    if (action !== "read") lookSoon();
    return told;
  } catch (error) {
    settle(id, changes);
    if (isGone) { settleLeft([id], false); lookSoon(); }
    if (STALE.has(error.status)) tell("stale", id); // others were faster: see what they did
    if (raises) throw error;
    if (action !== "read") sayFailed(error);
    return null;
  }
}

/** Do something to many conversations; each is done or refused by itself. */
export async function actOnMany(ids, action, body = {}) {
  const changes = new Map(ids.map((id) => [id, foresee(id, foreseen(action, body))]));
  const settleAll = () => { for (const [id, made] of changes) settle(id, made); };
  try {
    const told = await send("bulk/", { action, ids, parameters: body });
    const { view } = inboxOf();
    const out = told.done.filter((id) => { const row = rowOf(id); return row && !staysIn(view, row); });
    if (out.length) { leave(out); settleLeft(out, true); }
    settleAll();
    toast(fill(words.bulkDone, { n: told.done.length }), { undo: action === "merge" && told.done.length ? () => actOnMany(told.done, "unmerge") : null });
    if (told.refused.length) {
      const why = [...new Set(told.refused.map((each) => each.detail))].slice(0, 3).join(" ");
      toast(fill(words.bulkRefused, { n: told.refused.length, why }), { tone: "failed" });
    }
    tell("acted-on-many", { ids, action });
    lookSoon();
  } catch (error) {
    settleAll();
    sayFailed(error);
  }
}
