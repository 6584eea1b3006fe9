// The way of lines: a WebSocket that comes back, and HTTP where none gets through. The protocol is told in docs/portal-chat.md.
//
// A line stays in `unsent` until it is accepted, and is sent again under its id after each reconnect: nothing is lost, nothing comes twice.
import { Refused, begin, call, forget, kept, places, token } from "./session.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const POLL_MS = 3_000;
const OPEN_MS = 8_000; // a proxy that swallows a WebSocket says nothing
const SILENT_MS = 40_000; // more than two beats of the server
const UNANSWERED_MS = 10_000; // the same while a line waits to be accepted
const CHECK_MS = 5_000;
const TRIES_BEFORE_HTTP = 2;
const AGAIN_MS = 30_000;
const ENDED = 4401;
const FOREIGN = 4403;
const MANY = 4429;

export class Connection {
  /** `handlers`: line(frame), snapshot(frame), accepted(id), refused(id, error), typing(frame), state(name, wait), ended(). */
  constructor(port, handlers) {
    this.port = port;
    this.handlers = handlers;
    this.unsent = new Map((kept.get("outbox") ?? []).map((line) => [line.client_id, line]));
    this.returned = new Map(); // lines that were refused, for another try
    this.last = null; // the last line that has arrived
    this.wait = FIRST_WAIT_MS;
    this.failed = 0;
    this.isOn = false;
    this.isLive = false;
    this.heardAt = this.sentAt = 0; // when anything came and a line went, by the clock of this device, which goes on while it sleeps
    this.patientUntil = 0;
    this.isLate = false; // the server takes no more lines for a moment
    this.turn = 0; // of one visitor: answers that another one had asked for are nothing to this one
    setInterval(() => this.check(), CHECK_MS);
    addEventListener("online", () => this.isOn && this.reconnect());
    addEventListener("offline", () => this.isOn && this.say("offline"));
    document.addEventListener("visibilitychange", () => { if (this.isOn && !this.isLive && !document.hidden) this.reconnect(); });
  }

  say(state, wait = 0) {
    this.isLive = state === "live" || state === "slow";
    if (this.isQuiet && !this.isLive) return; // lines have come over HTTP until now, and go on to
    this.isQuiet = this.isLate = false;
    this.handlers.state(state, wait);
  }

  keep() { kept.set("outbox", this.unsent.size ? [...this.unsent.values()] : null); }

  /** Begin to hold a connection; there must be a session. */
  start() {
    if (this.isOn) return;
    this.isOn = true;
    this.reconnect();
  }

  stop() {
    this.isOn = this.isLive = this.isQuiet = false;
    this.turn += 1;
    clearTimeout(this.timer);
    this.drop();
    this.wake?.();
  }

  /** Let go of a socket, whatever it still says. */
  drop() {
    clearTimeout(this.deadline);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  reconnect() {
    if (this.isPolling) { this.wake?.(); return; } // it goes on, at once
    clearTimeout(this.timer);
    if (!navigator.onLine) { this.say("offline"); return; }
    if (this.failed >= TRIES_BEFORE_HTTP) { this.poll(); return; }
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const host = this.port ? `${location.hostname}:${this.port}` : location.host;
    this.say(this.last ? "reconnecting" : "connecting");
    let socket;
    try { socket = new WebSocket(`${scheme}//${host}/ws${places.chat}`); } catch { this.again(); return; }
    this.drop();
    this.socket = socket;
    this.usedToken = token();
    this.heardAt = Date.now();
    this.deadline = setTimeout(() => socket.readyState === WebSocket.CONNECTING && socket.close(), OPEN_MS);
    socket.addEventListener("open", () => {
      if (this.socket !== socket) return;
      this.heardAt = Date.now();
      socket.send(JSON.stringify({ type: "hello", token: this.usedToken, ...this.last }));
      for (const line of this.unsent.values()) socket.send(JSON.stringify(line));
    });
    socket.addEventListener("message", (event) => { if (this.socket === socket) this.hear(JSON.parse(event.data)); });
    socket.addEventListener("close", (event) => {
      if (this.socket !== socket) return;
      clearTimeout(this.deadline);
      this.socket = null;
      if (event.code === ENDED) { this.ended(); return; }
      if (event.code === MANY) this.wait = LONGEST_WAIT_MS;
      if (event.code === FOREIGN) this.failed = TRIES_BEFORE_HTTP;
      this.again();
    });
  }

  /** Connect once more where nothing has come for so long that the connection is dead, however open it looks. */
  check() {
    if (!this.isOn || this.socket?.readyState !== WebSocket.OPEN) return;
    if (!this.isLive) { // it never said anything: what is in between lets none through
      if (navigator.onLine && Date.now() - this.heardAt > UNANSWERED_MS) { this.drop(); this.again(); }
      return;
    }
    const isAsked = this.unsent.size > 0 && Date.now() > this.patientUntil;
    const isDead = isAsked ? Date.now() - Math.max(this.heardAt, this.sentAt) > UNANSWERED_MS : Date.now() - this.heardAt > SILENT_MS;
    if (isDead) this.open();
  }

  again() {
    if (!this.isOn) return;
    if (!this.isLive) this.failed += 1;
    this.say(navigator.onLine ? "reconnecting" : "offline");
    // Spread, so that not all visitors come back at the same moment after a restart.
    this.timer = setTimeout(() => this.reconnect(), this.wait * (0.6 + 0.8 * Math.random()));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
  }

  ended() {
    this.stop();
    const unsent = [...this.unsent.values()];
    if (token() === this.usedToken) forget(); // else another tab has begun a new one: the visitor goes on with that
    this.last = null;
    this.handlers.ended();
    if (unsent.length || token()) begin().then(() => { this.keep(); this.start(); }).catch((error) => unsent.forEach((line) => this.refuse(line.client_id, error)));
  }

  hear(frame) {
    this.heardAt = Date.now();
    if (!this.isLive && (frame.type === "line" || frame.type === "snapshot")) {
      this.failed = 0;
      this.wait = FIRST_WAIT_MS;
      this.say("live");
    }
    if (frame.type === "line") {
      this.last = { conversation: frame.conversation, after: frame.seq };
      if (frame.client_id) this.accept(frame.client_id);
      this.handlers.line(frame);
    } else if (frame.type === "accepted") {
      this.accept(frame.client_id);
    } else if (frame.type === "error") {
      this.fault(frame);
    } else if (this.handlers[frame.type]) {
      this.handlers[frame.type](frame);
    }
  }

  fault(frame) {
    if (!frame.client_id) return;
    if (frame.retry_after) {
      this.late(frame.retry_after);
      setTimeout(() => this.send(this.unsent.get(frame.client_id)), frame.retry_after * 1000);
      return;
    }
    this.refuse(frame.client_id, new Refused(frame.status ?? 400, frame));
  }

  late(wait) {
    this.isLate = true;
    this.patientUntil = Date.now() + wait * 1000;
    this.handlers.state("late", wait);
  }

  /** Nothing waits any more: that sending was late is no longer true. */
  caughtUp() {
    if (!this.isLate || this.unsent.size) return;
    this.isLate = false;
    this.handlers.state(this.isPolling ? "slow" : "live", 0);
  }

  accept(id) {
    if (this.unsent.delete(id)) this.keep();
    this.handlers.accepted(id);
    this.caughtUp();
  }

  refuse(id, error) {
    const line = this.unsent.get(id);
    if (!line) return;
    this.unsent.delete(id);
    this.returned.set(id, line);
    this.keep();
    this.handlers.refused(id, error);
    this.caughtUp();
  }

  /** Send a line, now or when there is a connection. */
  add(line) {
    this.unsent.set(line.client_id, line);
    this.keep();
    if (this.isOn) this.send(line);
  }

  /** Send a line that was refused once more. */
  addAgain(id) {
    const line = this.returned.get(id);
    this.returned.delete(id);
    if (line) this.add(line);
  }

  send(line) {
    if (!line) return;
    this.sentAt = Date.now();
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(line));
    else if (this.isPolling) this.post(line);
  }

  tell(frame) { if (this.socket?.readyState === WebSocket.OPEN && this.isLive) this.socket.send(JSON.stringify(frame)); }

  read(seq) {
    if (this.socket?.readyState === WebSocket.OPEN) this.tell({ type: "read", seq });
    else if (this.isPolling) call("POST", `${places.chat}read/`, { body: { seq } }).catch(() => {});
  }

  // --- where no WebSocket gets through ---------------------------------------------------------------------------

  async post(line) {
    const { type: _type, ...body } = line;
    try {
      await call("POST", `${places.chat}lines/`, { body, needs: true });
      this.accept(line.client_id);
    } catch (error) {
      if (error.status === 429) this.late(error.wait || 5);
      else if (error.status >= 400 && error.status < 500) this.refuse(line.client_id, error);
    }
  }

  async poll() {
    if (this.isPolling) return;
    this.isPolling = true;
    const { turn } = this;
    this.usedToken = token();
    const until = Date.now() + AGAIN_MS;
    while (this.isOn && turn === this.turn && Date.now() < until) {
      if (token() !== this.usedToken) { this.isPolling = false; this.ended(); return; } // begun anew, here or in another tab
      try {
        // While one is sent another visitor may come: what is left is not theirs.
        for (const line of [...this.unsent.values()]) {
          if (turn === this.turn && this.unsent.has(line.client_id) && Date.now() >= this.patientUntil) await this.post(line);
        }
        if (turn !== this.turn) break;
        await this.fetch();
        if (!this.isLive && turn === this.turn) this.say("slow");
      } catch (error) {
        if (turn !== this.turn) break;
        if (error.code === "session_ended") { this.isPolling = false; this.ended(); return; }
        this.say(navigator.onLine ? "reconnecting" : "offline");
      }
      // Woken before its time where there is reason to look at once.
      await new Promise((resolve) => { this.wake = resolve; setTimeout(resolve, POLL_MS); });
    }
    this.isPolling = false;
    if (!this.isOn) return;
    if (turn !== this.turn) { this.reconnect(); return; }
    // Look whether a WebSocket gets through by now; if not, HTTP goes on at once.
    this.isQuiet = this.isLive;
    this.failed = TRIES_BEFORE_HTTP - 1;
    this.wait = FIRST_WAIT_MS;
    this.open();
  }

  async fetch() {
    const { turn } = this;
    let more = true;
    while (more) {
      const place = this.last ? `?conversation=${this.last.conversation}&after=${this.last.after}` : "";
      const answer = await call("GET", `${places.chat}lines/${place}`);
      if (turn !== this.turn) return;
      for (const frame of answer.lines) {
        this.last = { conversation: frame.conversation, after: frame.seq };
        if (frame.client_id) this.accept(frame.client_id);
        this.handlers.line(frame);
      }
      this.handlers.snapshot(answer.snapshot);
      more = answer.more;
    }
  }
}
