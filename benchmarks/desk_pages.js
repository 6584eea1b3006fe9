// Watches the desk's page from inside: when rows stand there, how long frames take, and how long an action takes until it is painted.
{
  const LOADED = ".item:not(.loading):not([hidden])";
  const SLOW_MS = 50;
  const PATIENCE_MS = 60_000;
  const LATE_MS = 1_000;
  const here = { firstRow: null, slow: [], keys: [], work: [], typedAt: 0 };
  window.here = here;
  /** Return when the next frame is painted. Headless browsers on busy machines stop painting now and then: that is a frame, too, a long one. */
  const frame = () => new Promise((resolve) => {
    const late = setTimeout(() => resolve(performance.now()), LATE_MS);
    requestAnimationFrame((now) => { clearTimeout(late); resolve(now); });
  });
  const rows = () => document.getElementById("rows");
  /** Wait until something holds, looking at each frame. */
  const until = async (what, holds) => {
    const began = performance.now();
    while (!holds()) {
      if (performance.now() - began > PATIENCE_MS) throw new Error(`${what}: not within a minute; ${document.getElementById("list-total")?.textContent}, ${document.querySelectorAll("#rows .item.loading:not([hidden])").length} empty rows, busy ${rows()?.hasAttribute("aria-busy")}, ${document.getElementById("toasts")?.textContent}`);
      await frame();
    }
  };
  const isSettled = () => !rows().querySelector(".item.loading:not([hidden])") && !rows().hasAttribute("aria-busy");

  // https://developer.mozilla.org/en-US/docs/Web/API/PerformanceLongAnimationFrameTiming: frames whose work takes 50 ms and more.
  new PerformanceObserver((list) => { for (const each of list.getEntries()) here.slow.push(each.duration); }).observe({ type: "long-animation-frame" });
  // https://www.w3.org/TR/event-timing/: from a key to the next painted frame, in steps of 8 ms; what takes less than 16 ms is not told.
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) {
      if (each.name !== "keydown") continue;
      here.keys.push(each.duration);
      here.work.push(each.processingEnd - each.processingStart);
    }
  }).observe({ type: "event", durationThreshold: 16 });
  addEventListener("input", () => { here.typedAt = performance.now(); }, true);

  (async () => {
    while (!document.querySelector(LOADED)) await frame();
    here.firstRow = performance.now();
  })();

  /** Return when the first row stood there, in milliseconds from the begin of the navigation. */
  window.untilRows = async () => {
    await until("first row", () => here.firstRow !== null);
    return here.firstRow;
  };

  /** Scroll by so many pixels a frame, to the end of the list or for so many frames, and wait until all rows in sight are read. */
  window.scrollThrough = async (pixels, frames) => {
    const box = rows();
    const gaps = [];
    let most = 0;
    here.slow = [];
    box.scrollTop = 0;
    let last = await frame();
    const began = performance.now();
    for (let n = 0; n < frames && box.scrollTop + box.clientHeight < box.scrollHeight - 1; n += 1) {
      box.scrollTop += pixels;
      const now = await frame();
      gaps.push(now - last);
      last = now;
      most = Math.max(most, box.firstElementChild.childElementCount);
    }
    const ended = performance.now();
    await until("rows after scrolling", isSettled);
    return { gaps, slow: here.slow.filter((duration) => duration >= SLOW_MS), elements: most, rows: box.scrollTop / box.querySelector(LOADED).offsetHeight, seconds: (ended - began) / 1000, settled: performance.now() - ended };
  };

  /** Return the milliseconds from the last key until the list has another total and its rows stand there. Call it before typing. */
  window.untilFound = async (before) => {
    const said = () => document.getElementById("list-total").textContent;
    await until(`another total than ${before}`, () => here.typedAt && said() !== before && isSettled());
    await frame();
    const asked = performance.getEntriesByType("resource").findLast((each) => each.name.includes("/desk/data/inbox/"));
    return { shown: performance.now() - here.typedAt, total: said(), server: asked.responseEnd - asked.requestStart };
  };

  /** Return the milliseconds from the key that opens the active conversation until its lines stand there. Call it before the key. */
  window.untilOpen = async () => {
    let began = 0;
    addEventListener("keydown", () => { began = performance.now(); }, { capture: true, once: true });
    await until("lines", () => began && document.querySelector("#lines .line"));
    return performance.now() - began;
  };
}
