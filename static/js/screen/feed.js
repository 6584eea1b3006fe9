// The live figures: one WebSocket that comes back, and what it last told. Used by the overview and the big screen.
// It says "live", "reconnecting" or "old", and never passes on old figures as new.
const STALE_MS = 2_500;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 4_000;
const REFUSED = 4401;

/**
 * Keep a connection to the live figures open.
 *
 * onFrame(frame) gets each frame: `type` is "snapshot" (replace what you have) or "update" (its points replace those that begin at the
 * same time). onState(state, asOf) gets "live", "reconnecting" or "old", and the time of the last figures (a Date) or null.
 */
export function openFeed({ port, tenant, onFrame, onState }) {
  let socket = null;
  let heardAt = 0;
  let asOf = null;
  let wait = FIRST_WAIT_MS;
  let said = "";
  let retry = 0;
  let isClosed = false;

  function say(state) {
    if (state !== said || state !== "live") onState(state, asOf);
    said = state;
  }

  function hear(event) {
    const frame = JSON.parse(event.data);
    if (frame.status !== "live") { say(asOf ? "old" : "reconnecting"); return; }
    wait = FIRST_WAIT_MS;
    heardAt = performance.now();
    asOf = new Date(frame.as_of);
    onFrame(frame);
    say("live");
  }

  function connect() {
    clearTimeout(retry);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const host = port ? `${location.hostname}:${port}` : location.host;
    const mine = new WebSocket(`${scheme}//${host}/ws/statistics/${tenant ? `?tenant=${tenant}` : ""}`);
    socket = mine;
    mine.addEventListener("message", (event) => { if (socket === mine) hear(event); });
    mine.addEventListener("close", (event) => {
      if (isClosed || socket !== mine) return;
      if (event.code === REFUSED) { location.reload(); return; } // signed out, or the role is gone: the page says so
      say("reconnecting");
      // Spread, so that not all pages come back at the same moment after a restart.
      retry = setTimeout(connect, wait * (0.6 + 0.8 * Math.random()));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    });
  }

  const online = () => { if (socket.readyState !== WebSocket.OPEN) { wait = FIRST_WAIT_MS; connect(); } };
  const watch = setInterval(() => {
    if (said === "live" && performance.now() - heardAt > STALE_MS) say("old");
  }, 250);
  addEventListener("online", online);
  say("reconnecting");
  connect();
  return {
    close() {
      isClosed = true;
      clearInterval(watch);
      clearTimeout(retry);
      removeEventListener("online", online);
      socket.close();
    },
  };
}

const TONES = { live: "delivered", reconnecting: "unknown", old: "cancelled" };
const ICONS = { live: "sent", reconnecting: "retry", old: "expired" };

/** Say in a badge how fresh the figures are: live, reconnecting, as of 12:03:07. */
export function showState(badge, state, asOf, { words, icons, clock }) {
  const told = asOf ? words.asOf.replace("{time}", clock.format(asOf)) : "";
  const text = { live: words.live, reconnecting: told ? `${words.reconnecting} · ${told}` : words.reconnecting, old: told || words.reconnecting }[state];
  const word = badge.querySelector("[data-word]");
  if (word.textContent === text && badge.dataset.state === state) return;
  badge.dataset.state = state;
  badge.className = `badge tone-${TONES[state]}`;
  badge.querySelector("use").setAttribute("href", `${icons}#${ICONS[state]}`);
  word.textContent = text;
}
