// A part of a page that goes on while one looks: <section id=… data-refresh="seconds">. Its fresh form comes from the page's own address.
// What can't be refreshed says so: it fades, and its line ("Live · 12:03:07") turns into "as of 12:03:07".
import { asCards } from "./cards.js";
import { tellTimes } from "./times.js";

const MISSES = 2;  // turns without an answer before a part counts as old
const PATIENCE_MS = 5_000;  // so long an answer may take before what is shown counts as old, where turns are short

function isTypedInto(part) {
  const at = document.activeElement;
  return part.contains(at) && at.matches("input:not([type=checkbox]), textarea, select");
}

function sayOld(part) {
  if (part.classList.contains("stale")) return;
  part.classList.add("stale");
  const line = part.querySelector(".live-line > span");
  const time = line?.querySelector("time");
  const words = document.body.dataset.asOf;
  if (time && words) line.replaceChildren(words.replace("{time}", time.textContent));
}

function swap(part, fresh) {
  const at = document.activeElement;
  const had = part.contains(at) ? [...part.querySelectorAll("a, button")].indexOf(at) : -1;
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  part.replaceWith(fresh);
  tellTimes(fresh);
  asCards(fresh.parentElement ?? document);
  if (had >= 0) fresh.querySelectorAll("a, button")[had]?.focus({ preventScroll: true });
  [...fresh.querySelectorAll(".scroll")].forEach((box, place) => { box.scrollLeft = scrolled[place] ?? 0; });
}

export function follow(root = document, address = () => location.href) {
  for (const marked of root.querySelectorAll("[data-refresh]")) {
    const { id } = marked;
    let part = marked; // itself, not what has its name: the next row in the panel has parts with the same names
    const every = Number(marked.dataset.refresh) * 1000;
    let misses = 0;
    let isAsking = false;  // one question at a time: a server that is slow is not asked more often
    let freshAt = performance.now();
    const timer = setInterval(async () => {
      if (!part.isConnected) { clearInterval(timer); return; }
      if (isAsking && performance.now() - freshAt > Math.max(PATIENCE_MS, (MISSES + 1) * every)) sayOld(part);
      if (isAsking || document.hidden || isTypedInto(part)) return;
      isAsking = true;
      try {
        const answer = await fetch(address(), { headers: { Accept: "text/html", "X-Panel": "1" }, signal: AbortSignal.timeout(10_000) });
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
        misses = 0;
        freshAt = performance.now();
        if (!fresh) { clearInterval(timer); sayOld(part); return; }
        if (!part.isConnected || isTypedInto(part)) return;
        swap(part, document.adoptNode(fresh));
        part = fresh;
        if (!fresh.dataset.refresh) clearInterval(timer);
      } catch {
        misses += 1;
        if (misses >= MISSES) sayOld(part);
      } finally {
        isAsking = false;
      }
    }, every);
  }
}
