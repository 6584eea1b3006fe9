// What an action needs is chosen here: for one conversation, or for all that are picked.
import { newId, read } from "./api.js";
import { act, actOnMany } from "./actions.js";
import { ask } from "./ask.js";
import { openMenu } from "./menu.js";
import { chooseMerge } from "./merging.js";
import { chooseLines, openTicket } from "./splitting.js";
import { me, rowOf } from "./store.js";
import { fill, now, priorityOf, words } from "./texts.js";
import { sayFailed } from "./toast.js";

const HOUR_MS = 3_600_000;
const MORNING = 9;
export const ENDED = new Set(["resolved", "closed", "spam"]);

/** Do it to one or to many. */
function run(ids, action, body) {
  return ids.length === 1 ? act(ids[0], action, body) : actOnMany(ids, action, body);
}

/** Who has it as far as one knows here: if that is another by now, nothing is transferred. */
const ownerOf = (ids) => (ids.length === 1 ? rowOf(ids[0])?.agent?.id : null);

export function chooseTransfer(ids, anchor) {
  const items = [
    ...me.groups.map((group) => ({ label: group.title, value: { group: group.id }, icon: "members", under: words.groups })),
    ...me.agents.filter((agent) => ids.length > 1 || agent.id !== rowOf(ids[0])?.agent?.id).map((agent) => ({ label: agent.name, value: { agent: agent.id }, icon: "user", under: words.agents, hint: words.looks.presence[agent.presence]?.label ?? "" })),
  ];
  openMenu(anchor, { title: words.actions.transfer, items, pick: (value) => run(ids, "transfer", ownerOf(ids) ? { ...value, expected_owner: ownerOf(ids) } : value) });
}

function at(days, hour) {
  const day = new Date(now());
  day.setDate(day.getDate() + days);
  day.setHours(hour, 0, 0, 0);
  return day;
}

export function chooseSnooze(ids, anchor) {
  const toMonday = ((8 - new Date(now()).getDay()) % 7) || 7;
  const times = {
    hour: new Date(now() + HOUR_MS),
    afternoon: new Date(now() + 3 * HOUR_MS),
    tomorrow: at(1, MORNING),
    monday: at(toMonday, MORNING),
  };
  const items = Object.entries(words.snoozeFor).map(([name, label], index) => ({ label, value: name, icon: "snooze", key: String(index + 1) }));
  if (ids.length === 1 && rowOf(ids[0])?.snoozed_until) items.unshift({ label: words.actions.wake, value: null, icon: "play", key: "0" });
  const pick = (name) => {
    if (name === null) run(ids, "snooze", { until: null });
    else if (name !== "custom") run(ids, "snooze", { until: times[name].toISOString() });
    else ask({
      title: words.actions.snooze,
      fields: [{ name: "until", label: words.snoozeTime, type: "datetime-local" }],
      ok: words.actions.snooze,
      submit: ({ until }) => act(ids[0], "snooze", { until: new Date(until).toISOString() }, { raises: true }),
    });
  };
  openMenu(anchor, { title: words.actions.snooze, items: ids.length === 1 ? items : items.filter((item) => item.value !== "custom"), pick });
}

export function choosePriority(ids, anchor) {
  const now = ids.length === 1 ? priorityOf(rowOf(ids[0])?.priority ?? 5).value : null;
  const items = words.priorities.map((each, index) => ({ label: each.label, value: each.value, icon: "flag", tone: each.tone, isOn: each.value === now, key: String(index + 1) }));
  openMenu(anchor, { title: words.actions.priority, items, pick: (priority) => run(ids, "priority", { priority }) });
}

export function chooseTags(ids, anchor) {
  const before = new Set(ids.length === 1 ? (rowOf(ids[0])?.tags ?? []) : []);
  const known = [...new Set([...before, ...me.tags])];
  const items = known.map((name) => ({ label: name, value: name, isOn: before.has(name) }));
  const pick = (chosen) => {
    const add = chosen.filter((name) => !before.has(name));
    const remove = [...before].filter((name) => !chosen.includes(name));
    for (const name of add) if (!me.tags.includes(name)) me.tags.push(name);
    if (add.length || remove.length) run(ids, "tags", { add, remove });
  };
  openMenu(anchor, { title: words.actions.tags, items, pick, isMany: true, make: (name) => fill(words.newTag, { name }) });
}

/** Correct the intent: what was recognized as well comes first, each with a key. */
export function chooseIntent(ids, anchor, alternatives = [], seq = null) {
  const now = ids.length === 1 ? rowOf(ids[0])?.intent?.name : null;
  const titles = new Map(me.intents.map((intent) => [intent.name, intent.title || intent.name]));
  const first = (ids.length === 1 ? alternatives : []).map(([name]) => name).filter((name) => name !== now && titles.has(name));
  const items = [
    ...first.map((name, index) => ({ label: titles.get(name), value: name, icon: "target", under: words.alternatives, key: index < 9 ? String(index + 1) : "" })),
    ...me.intents.filter((intent) => !first.includes(intent.name)).map((intent) => ({ label: intent.title || intent.name, value: intent.name, icon: "target", isOn: intent.name === now, under: words.allIntents })),
  ];
  openMenu(anchor, { title: words.correctIntent, items, pick: (intent) => { if (intent !== now) run(ids, "intent", seq && ids.length === 1 ? { intent, seq } : { intent }); } });
}

export function chooseSpam(ids) {
  ask({ title: words.actions.spam, text: words.spamAsk, ok: words.actions.spam, submit: () => run(ids, "spam") });
}

export function chooseSide(id) {
  const clientId = newId(); // sent again, it is the same e-mail
  const fields = [
    { name: "to", label: words.sideTo, type: "email" },
    { name: "subject", label: words.sideSubject, value: rowOf(id)?.subject ?? "" },
    { name: "text", label: words.sideText, type: "area" },
  ];
  ask({ title: words.actions.side, text: words.sideHelp, fields, ok: words.send, submit: (values) => act(id, "side", { ...values, client_id: clientId }, { raises: true }) });
}

/** Everything that can be done to a conversation, in one menu, each with its key. */
export function chooseAction(id, anchor, detail) {
  const row = rowOf(id) ?? {};
  const isEnded = ENDED.has(row.status);
  const isMine = Boolean(me.agent) && row.agent?.id === me.agent.id;
  const all = [
    me.agent && !isMine && !isEnded && ["claim", "claim", "a", () => act(id, "claim")],
    !isEnded && ["transfer", "assigned", "t", () => chooseTransfer([id], anchor)],
    row.status === "assigned" && ["release", "queued", "", () => act(id, "release")],
    !isEnded && ["resolve", "delivered", "e", () => act(id, "resolve")],
    isEnded && (row.merged_into ? ["unmerge", "merge", "", () => act(id, "unmerge")] : ["reopen", "retry", "e", () => act(id, "reopen")]),
    !isEnded && ["snooze", "snooze", "s", () => chooseSnooze([id], anchor)],
    ["intent", "target", "i", () => chooseIntent([id], anchor, tellAlternatives(detail))],
    ["tags", "tag", "l", () => chooseTags([id], anchor)],
    ["priority", "flag", "p", () => choosePriority([id], anchor)],
    me.features.ticket && ["ticket", "ticket", "", () => openTicket(id)],
    me.features.ticket && ["split", "quote", "", () => chooseLines(id, detail)],
    !isEnded && ["merge", "merge", "", () => chooseMerge(id, detail)],
    me.features.side && ["side", "messages", "", () => chooseSide(id)],
    !isEnded && ["close", "cancelled", "", () => act(id, "close")],
    row.status !== "spam" && ["spam", "spam", "", () => chooseSpam([id])],
  ].filter(Boolean);
  openMenu(anchor, { title: words.actions.all, items: all.map(([name, shown, key, run_]) => ({ label: words.actions[name], value: run_, icon: shown, key })), pick: (chosen) => chosen() });
}

/** Return what was recognized beside the intent: in the line with this number, else in the last one that has an intent. */
export function tellAlternatives(detail, seq = null) {
  const last = (detail?.lines ?? []).findLast((line) => (seq ? line.seq === seq : line.recognition?.intent));
  return last?.recognition?.alternatives ?? [];
}

export async function quickReplies(id) {
  try { return (await read("quick-replies/", { conversation: id })).quick_replies ?? []; } catch (error) { sayFailed(error); return []; }
}
