// Merge conversations of one customer: one into another that is chosen, or those that are picked into the oldest of them.
import { act, actOnMany } from "./actions.js";
import { open } from "./address.js";
import { read } from "./api.js";
import { ask } from "./ask.js";
import { el, icon } from "./dom.js";
import { me } from "./store.js";
import { exact, fill, words } from "./texts.js";
import { sayFailed, toast } from "./toast.js";

const ENDED = new Set(["resolved", "closed", "spam"]);
const titleOf = (name) => me.intents.find((intent) => intent.name === name)?.title ?? name;

export async function chooseMerge(id, detail) {
  const others = (detail.customer?.history ?? []).filter((each) => each.id !== id && each.can_open && !ENDED.has(each.status));
  if (!others.length) { toast(words.noMerge, { tone: "failed" }); return; }
  const options = others.map((each) => ({ value: each.id, label: [each.subject || titleOf(each.intent) || exact(each.at), each.entrance.name].filter(Boolean).join(" · ") }));
  ask({
    title: words.actions.merge,
    text: words.mergeText,
    fields: [{ name: "into", label: words.mergeWith, options }],
    ok: words.actions.merge,
    submit: async ({ into }) => { await act(id, "merge", { into }, { raises: true }); open(into); },
  });
}

const entry = (iconed, title, more) => el("li", {}, icon(iconed), el("div", {}, el("div", {}, title), el("div", { class: "soft" }, more)));

function rowOfPlan(row, iconed) {
  return entry(iconed, row.subject || row.snippet || row.intent?.title || words.noIntent, `${row.entrance.name} · ${exact(row.last_at)}`);
}

/** Show what a merge of the picked conversations would do before it is done. */
export async function chooseMergeOfMany(ids) {
  let plan;
  try { plan = await read("bulk/merge/", { ids: ids.join(",") }); } catch (error) { sayFailed(error); return; }
  const name = plan.into.customer.name || words.noName;
  ask({
    title: words.actions.mergeMany,
    text: fill(words.mergeManyText, { name, to: plan.replies_to }),
    parts: [
      el("h3", {}, words.mergeGoesOn), el("ul", { class: "plain plan" }, rowOfPlan(plan.into, "chat")),
      el("h3", {}, words.mergeAreClosed), el("ul", { class: "plain plan" }, plan.merged.map((row) => rowOfPlan(row, "merge"))),
      ...(plan.refused.length ? [el("h3", {}, words.mergeStay), el("ul", { class: "plain plan" }, plan.refused.map((each) => entry("failed", each.subject || words.noIntent, each.detail)))] : []),
    ],
    ok: words.actions.mergeMany,
    submit: async () => { await actOnMany(plan.merged.map((row) => row.id), "merge", { into: plan.into.id }); open(plan.into.id); },
  });
}
