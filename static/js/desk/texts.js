// Words, numbers and times in the reader's language and zone.
import { $ } from "./dom.js";

export const words = JSON.parse($("desk-texts").textContent);
const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "narrow" });
const exactTime = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
const timeOfDay = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exactSeconds = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const shortDay = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const longDay = new Intl.DateTimeFormat(language, { weekday: "long", month: "long", day: "numeric" });
const figures = new Intl.NumberFormat(language);
const names = new Intl.DisplayNames([language], { type: "language" });
const APART_MS = 3_000; // less is the way of the answer
const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

let ahead = 0; // of the server's clock, in ms

/** Note what time it is at the server: the clock of a device may be wrong by an hour. */
export function setClock(at) {
  const found = Date.parse(at) - Date.now();
  if (!Number.isNaN(found)) ahead = Math.abs(found) > APART_MS ? found : 0;
}
export const now = () => Date.now() + ahead;

/** Put values into a text with {names}. */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
export const number = (value) => figures.format(value);
export const exact = (at) => exactTime.format(new Date(at));
export const time = (at) => timeOfDay.format(new Date(at));
export const second = (at) => exactSeconds.format(new Date(at));
export const kilobytes = (bytes) => (bytes < 1_048_576 ? `${number(Math.ceil(bytes / 1_024))} KiB` : `${figures.format(Math.round(bytes / 104_857.6) / 10)} MiB`);

export function languageName(code) {
  try { return names.of(code) ?? code; } catch { return code; }
}

/** Say when, in as few characters as a row of the list has room for. */
export function ago(at) {
  const seconds = (new Date(at) - now()) / 1_000;
  const size = Math.abs(seconds);
  if (size < MINUTE) return relative.format(0, "second");
  if (size < HOUR) return relative.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return relative.format(Math.round(seconds / HOUR), "hour");
  if (size < 7 * DAY) return relative.format(Math.round(seconds / DAY), "day");
  return shortDay.format(new Date(at));
}

/** Say how long: the two largest units, seconds only below two minutes. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const unit = (name, n) => fill(words.units[name], { n });
  if (whole < 2 * MINUTE) return unit("s", whole);
  if (whole < HOUR) return unit("min", Math.floor(whole / MINUTE));
  if (whole < DAY) return `${unit("h", Math.floor(whole / HOUR))} ${unit("min", Math.floor((whole % HOUR) / MINUTE))}`;
  return `${unit("d", Math.floor(whole / DAY))} ${unit("h", Math.floor((whole % DAY) / HOUR))}`;
}

export function dayName(at) {
  const day = new Date(at);
  const today = new Date(now());
  if (day.toDateString() === today.toDateString()) return words.today;
  today.setDate(today.getDate() - 1);
  return day.toDateString() === today.toDateString() ? words.yesterday : longDay.format(day);
}

export const look = (kind, state) => words.looks[kind]?.[state] ?? { tone: "pending", icon: "pending", label: state };
export const priorityOf = (value) => words.priorities.find((each) => value >= each.value) ?? words.priorities.at(-1);
