// Short messages at the bottom: what was done, with the way back; what did not work, with what to do.
import { $, el, icon } from "./dom.js";
import { words } from "./texts.js";

const SHOWN_MS = 6_000;
const MOST = 2;

/** Show a message. `tone` is "failed" or "delivered"; `undo` takes back what was done. */
export function toast(text, { tone = "delivered", undo = null } = {}) {
  const place = $("toasts");
  const made = el("div", { class: `toast tone-${tone}` }, icon(tone === "failed" ? "failed" : "sent"), el("span", { class: "said" }, text));
  const leave = () => made.remove();
  if (undo) made.append(el("button", { type: "button", class: "link", onclick: () => { leave(); undo(); } }, words.undo));
  made.append(el("button", { type: "button", class: "tool", title: words.close, "aria-label": words.close, onclick: leave }, icon("close")));
  place.append(made);
  while (place.childElementCount > MOST) place.firstChild.remove();
  let timer = setTimeout(leave, tone === "failed" ? 2 * SHOWN_MS : SHOWN_MS);
  const again = () => { clearTimeout(timer); timer = setTimeout(leave, SHOWN_MS); };
  for (const name of ["pointerenter", "focusin"]) made.addEventListener(name, () => clearTimeout(timer));
  for (const name of ["pointerleave", "focusout"]) made.addEventListener(name, again);
}

export const sayFailed = (error) => { if (error.name !== "AbortError") toast(error.message, { tone: "failed" }); };
