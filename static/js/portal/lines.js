// The lines of a chat as they are drawn: by number, each once, those that are not sent yet at the end.
import { fill, icon, make, words } from "./session.js";

const language = document.documentElement.lang || "en";
const clock = new Intl.DateTimeFormat(language, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", month: "long", day: "numeric" });
const ADDRESS = /https?:\/\/[^\s<>"'，。；！？）】]+[^\s<>"'，。；！？）】.,;:!?)\]]/g;
const AT_END_PX = 80;

export class Lines {
  constructor({ box, list, below, again }) {
    Object.assign(this, { box, list, below, again });
    this.shown = new Map(); // "conversation:seq" or client id → element
    this.day = "";
    this.lastSeq = 0;
    this.count = 0;
    below.addEventListener("click", () => this.toEnd());
    this.stays = true; // at the end, also when the box gets smaller: a keyboard opens, articles are offered
    box.addEventListener("scroll", () => {
      this.stays = this.isAtEnd();
      if (this.stays) below.hidden = true;
    });
    new ResizeObserver(() => { if (this.stays) this.toEnd(); }).observe(box);
  }

  isAtEnd() { return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < AT_END_PX; }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.below.hidden = true;
  }

  /** Draw a change and stay at the end, unless the reader has scrolled up to read. */
  keepPlace(change, isOwn = false) {
    const wasAtEnd = isOwn || this.isAtEnd();
    change();
    if (wasAtEnd) this.toEnd();
    return wasAtEnd;
  }

  /** Draw a line, and say that there is one where the reader does not see it. */
  drawNew(change, isOwn) {
    if (this.keepPlace(change, isOwn)) return;
    this.below.hidden = false;
    this.below.lastElementChild.textContent = words.new_lines;
  }

  clear() {
    this.shown.clear();
    this.list.replaceChildren();
    this.day = "";
    this.lastSeq = this.count = 0;
  }

  /** Show a line that has arrived; false: it was shown already, or has nothing to show. */
  add(frame) {
    const key = `${frame.conversation}:${frame.seq}`;
    if (this.shown.has(key)) return false;
    this.conversation = frame.conversation;
    this.lastSeq = frame.seq;
    if (!frame.text && !frame.files.length) return false;
    const pending = frame.client_id && this.shown.get(frame.client_id);
    const element = this.draw(frame);
    this.shown.set(key, element);
    this.count += 1;
    this.drawNew(() => {
      this.separate(new Date(frame.at), pending || null);
      if (pending) { pending.replaceWith(element); this.shown.delete(frame.client_id); } else this.list.insertBefore(element, this.list.querySelector("[data-pending]"));
    }, frame.author === "customer");
    return true;
  }

  separate(at, before) {
    const name = day.format(at);
    if (name === this.day) return;
    this.day = name;
    const item = make("li", { className: "day" });
    item.dataset.day = name;
    this.list.insertBefore(item, before ?? this.list.querySelector("[data-pending]"));
    const today = day.format(new Date());
    for (const one of this.list.querySelectorAll(".day")) one.textContent = one.dataset.day === today ? words.today : one.dataset.day; // it was today when it was written
  }

  /** Show a line that is on its way. */
  addPending(line, files) {
    if (this.shown.has(line.client_id)) return;
    const frame = { author: "customer", text: line.text, files, at: new Date().toISOString() };
    const element = this.draw(frame);
    element.dataset.pending = line.client_id;
    this.shown.set(line.client_id, element);
    this.count += 1;
    this.keepPlace(() => this.list.append(element), true);
    this.mark(line.client_id, "kept");
  }

  mark(id, state, reason = "") {
    const element = this.shown.get(id);
    if (!element) return;
    const foot = element.querySelector(".foot");
    element.classList.toggle("failed", state === "failed");
    foot.querySelector(".state")?.remove();
    if (state === "failed") {
      const retry = make("button", { type: "button", className: "link state", text: words.failed });
      retry.addEventListener("click", () => this.again(id));
      if (reason) retry.title = reason;
      foot.append(retry);
      if (reason) retry.textContent = `${fill(words.refused, { reason })} ${words.failed}`;
    } else if (state) {
      foot.append(make("span", { className: "state", text: words[state] }));
    }
  }

  /** Say under the visitor's last line that it was read. */
  markRead(conversation, seq) {
    if (this.readMark?.isConnected) this.readMark.remove();
    let last = null;
    for (const [key, element] of this.shown) {
      const [of, number] = key.split(":");
      if (of === conversation && Number(number) <= seq && element.classList.contains("mine")) last = element;
    }
    if (!last) return;
    this.readMark = make("span", { className: "state", text: words.read });
    last.querySelector(".foot").append(this.readMark);
  }

  draw(frame) { return drawnLine(frame); }
}

/** A line as it is drawn; `dated` says what stands for its day before the time, in a list that has no days. */
export function drawnLine({ author, name, text, files, at }, dated = null) {
  const isMine = author === "customer";
  if (author === "system") return make("li", { className: "line system" }, make("p", { text }));
  const who = isMine ? words.you : author === "bot" ? words.bot : name || words.team;
  const bubble = make("div", { className: "bubble" });
  if (text) bubble.append(linked(text));
  for (const file of files) bubble.append(drawnFile(file));
  const moment = `${dated ? `${dated(at)} ` : ""}${clock.format(new Date(at))}`;
  const foot = make("p", { className: "foot" }, make("time", { dateTime: at, text: moment }));
  const head = make("p", { className: isMine ? "visually-hidden" : "who", text: `${who}${isMine ? ":" : ""}` });
  return make("li", { className: `line ${isMine ? "mine" : "theirs"}` }, head, bubble, foot);
}

function linked(text) {
  const paragraph = make("p");
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    paragraph.append(text.slice(end, found.index), make("a", { href: found[0], target: "_blank", rel: "noopener noreferrer nofollow", text: found[0] }));
    end = found.index + found[0].length;
  }
  paragraph.append(text.slice(end));
  return paragraph;
}

function drawnFile({ name, size, url }) {
  const size_text = size ? ` · ${size < 1_048_576 ? `${Math.max(1, Math.round(size / 1024))} KB` : `${(size / 1_048_576).toFixed(1)} MB`}` : "";
  if (!url) return make("p", { className: "file" }, icon("attach"), make("span", { text: `${name}${size_text}` }));
  return make("a", { className: "file", href: url, download: name }, icon("attach"), make("span", { text: `${name}${size_text}` }));
}
