// Times in the reader's zone: relative ones, exact ones, times of day.
const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const minute = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const WEEK = 604800;
const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [Infinity, "day", 86400]];

export function tellTimes(root = document) {
  for (const element of root.querySelectorAll("time.ago[datetime], time.exact[datetime], time.clock[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (element.classList.contains("exact")) {
      element.textContent = exact.format(at);
      element.title = at.toISOString();
      continue;
    }
    if (element.classList.contains("clock")) {
      element.textContent = clock.format(at);
      element.title = exact.format(at);
      continue;
    }
    const seconds = (at - Date.now()) / 1000;
    if (Math.abs(seconds) > WEEK) {  // "next month" may be tomorrow
      element.textContent = day.format(at);
      element.title = exact.format(at);
      continue;
    }
    const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
    element.textContent = relative.format(Math.round(seconds / size), unit);
    element.title = exact.format(at);
  }
  for (const mark of root.querySelectorAll("svg text[data-at]")) {  // of an axis
    const at = new Date(mark.dataset.at);
    if (!Number.isNaN(at.getTime())) mark.textContent = minute.format(at);
  }
}
