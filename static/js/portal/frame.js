// In a frame of the widget: what the host page and this one tell each other. Only sites of the entrance may frame it.
import { setIdentity } from "./session.js";

const isFramed = window.parent !== window && document.documentElement.dataset.embedded !== undefined;
let isShown = !isFramed;
const watchers = new Set();

/** Whether the visitor can see this page: a closed widget keeps it loaded. */
export const seen = () => isShown && document.visibilityState === "visible";

/** Call a function when the page is shown, hidden, or gets another visitor (`changed`). */
export function watch(react) { watchers.add(react); }

function tell(changed = false) { for (const react of watchers) react(changed); }

export function say(type, values = {}) {
  if (isFramed) window.parent.postMessage({ ...values, type: `posthaste:${type}` }, "*"); // nothing secret is said
}

if (isFramed) {
  addEventListener("message", (event) => {
    if (event.source !== window.parent || typeof event.data?.type !== "string") return;
    const { type, identity, text } = event.data;
    if (type === "posthaste:shown" || type === "posthaste:hidden") {
      isShown = type === "posthaste:shown";
      tell();
      // On a phone a focused field would open the keyboard over what there is to read.
      const field = matchMedia("(hover: hover)").matches ? document.getElementById("text") : null;
      if (isShown) (field ?? document.getElementById("main"))?.focus({ preventScroll: true });
    } else if (type === "posthaste:identity") {
      tell(setIdentity(identity));
    } else if (type === "posthaste:text" && typeof text === "string") {
      const field = document.getElementById("text");
      if (!field || field.value) return;
      field.value = text.slice(0, 4000);
      field.dispatchEvent(new Event("input")); // kept as a draft, as if it was typed
    }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !event.defaultPrevented && !document.querySelector("dialog[open]")) say("close");
  });
  const close = document.getElementById("close");
  close.hidden = false;
  close.addEventListener("click", () => say("close"));
  say("ready", { language: document.documentElement.lang });
}
document.addEventListener("visibilitychange", () => tell());
