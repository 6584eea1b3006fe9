// Stands in for the WebSocket of the big screen: after the page asks with `soak(count, perPicture)`, it gives so many frames for each painted
// picture, as the server would one a second, so that twelve hours pass in some minutes. Everything behind the socket is the page's own.
{
  const STEP = 5;
  const STEPS = 180;
  const CHANNELS = ["sms", "email", "push", "wecom", "webhook"];
  let second = Math.floor(Date.now() / 1000);
  let number = 0;
  let socket = null;
  const some = (most) => Math.floor(Math.random() * most);

  function point(at) {
    const channels = Object.fromEntries(CHANNELS.map((name) => [name, some(900)]));
    const sent = Object.values(channels).reduce((sum, value) => sum + value, 0);
    const events = { accepted: sent + some(50), sent, delivered: some(sent), failed: some(20), unknown: some(5), suppressed: some(9) };
    return { at, seconds: STEP, events, channels, latency_ms: { p50: 40 + some(9), p95: 90 + some(40), p99: 200 + some(300) }, success_rate: 97 + 3 * Math.random(), depth: some(9000), capacity: 10_000, threads: 10 + some(90), busy: some(90) };
  }

  function frame(type, points) {
    const queue = { depth: some(9000), capacity: 10_000, usage_percent: some(90), waiting_in_database: some(99) };
    return { status: "live", type, number, as_of: new Date(second * 1000).toISOString(), rates_per_second: { accepted: some(900), sent: some(900), failed: some(3) }, success_rate: 99.5, latency_ms: { p50: 41, p95: 99, p99: 300 }, queues: { "message.send": queue }, pools: [], pool: { threads: 40, active_count: some(40), queue_usage_percent: 3 }, points };
  }

  window.WebSocket = class extends EventTarget {
    static OPEN = 1;

    constructor() {
      super();
      this.readyState = 1;
      socket = this;
      const begin = second - (second % STEP);
      setTimeout(() => this.#give(frame("snapshot", Array.from({ length: STEPS }, (_, index) => point(begin - (STEPS - 1 - index) * STEP)))), 0);
    }

    give() {
      number += 1;
      second += 1;
      const begin = second - (second % STEP);
      this.#give(frame("update", [point(begin - STEP), point(begin)]));
    }

    #give(told) { this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(told) })); }

    close() { this.readyState = 3; }
  };

  window.soak = (count, perPicture) => new Promise((resolve) => {
    let left = count;
    const next = () => {
      for (let frame = 0; frame < perPicture && left; frame += 1) {
        socket.give();
        left -= 1;
      }
      if (left) requestAnimationFrame(next); else resolve(number);
    };
    requestAnimationFrame(next);
  });
}
