// The alarms at the foot of the screen: the worst one first, one after the other if there are several.
const ASK_MS = 5_000;
const TURN_MS = 6_000;

export function startTicker(place, { url, words, icons, number }) {
  const count = place.querySelector("[data-count]");
  const list = place.querySelector("ul") ?? place.appendChild(document.createElement("ul"));
  const icon = place.querySelector("use");
  let alarms = [];
  let first = 0;
  let drawn = "";

  function draw(state) {
    const key = JSON.stringify([state, alarms]);
    if (key === drawn) return;
    drawn = key;
    list.hidden = !alarms.length;
    place.dataset.state = state;
    icon.setAttribute("href", `${icons}#${{ firing: "failed", quiet: "delivered", unknown: "unknown" }[state]}`);
    count.textContent = { firing: words.alarms.replace("{number}", number(alarms.length)), quiet: words.noAlarms, unknown: words.alarmsUnknown }[state];
    list.replaceChildren(...alarms.map((alarm) => {
      const item = document.createElement("li");
      item.dataset.severity = alarm.severity;
      const link = document.createElement(alarm.url ? "a" : "span");
      if (alarm.url) link.href = alarm.url;
      link.textContent = alarm.text;
      item.append(link);
      return item;
    }));
    first = 0;
    turn(0);
  }

  // Alarms that do not fit wait for their turn; nothing slides, so that there is nothing to be still for.
  function turn(by = 1) {
    const items = [...list.children];
    if (!items.length || list.contains(document.activeElement)) return;
    first = (first + by) % items.length;
    items.forEach((item, index) => { item.style.order = (index - first + items.length) % items.length; });
  }

  async function ask() {
    if (document.hidden) return;
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const told = await answer.json();
      place.hidden = told.alarms === null; // the reader may not see alarms: silence would read as "all is well"
      alarms = told.alarms ?? [];
      draw(alarms.length ? "firing" : "quiet");
    } catch {
      alarms = [];
      draw("unknown");
    }
  }

  ask();
  const timers = [setInterval(ask, ASK_MS), setInterval(() => { if (list.scrollWidth > list.clientWidth) turn(); }, TURN_MS)];
  return { close() { timers.forEach(clearInterval); } };
}
