"""Whether the big screen may stay open for days: 43,200 updates, as many as come in twelve hours, in a real Chromium.

    python -m benchmarks.live_soak [--updates 43200] [--per-picture 4] [--chromium PATH]

The page is served by an installation as `make run` starts it. Its WebSocket is replaced (`live_soak.js`) by one that gives some updates for
each picture that Chromium paints, so faster than one a second; all else is the page's own. The heap is measured after a full collection,
first when a tenth of the updates has passed, as the charts fill until then; it may grow by less than a tenth from there to the end.

Two figures are printed at both ends. The heap of the page holds the machine code that V8 compiles, and compiles anew for hours when a
function is called often enough; that code is bounded by the script, not by time. So the bar is on everything else: what the snapshot of
the heap lists, less nodes of the type `code`.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.idle import running
from benchmarks.machine import others
from posthaste.env import ROOT

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if Path(path).exists()), "")
MAX_GROWTH = 1.10
PARTS = 10
CHARTS = "document.querySelectorAll('.chart canvas').length"


def heap(session: Any) -> dict[str, float]:
    """Collect what is garbage and return the bytes of the heap, and the numbers of nodes and listeners."""
    for _ in range(3):  # what a first collection finalises, a second one frees
        session.send("HeapProfiler.collectGarbage")
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {"heap": found["JSHeapUsedSize"], "nodes": found["Nodes"], "listeners": found["JSEventListeners"]}


def objects(session: Any) -> int:
    """Return the bytes of all that a snapshot of the heap lists, but for compiled code.

    The form is V8's: `nodes` is flat, with the fields that `meta.node_fields` names.
    """
    chunks: list[str] = []

    def take(event: dict[str, str]) -> None:
        chunks.append(event["chunk"])

    session.on("HeapProfiler.addHeapSnapshotChunk", take)
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    session.remove_listener("HeapProfiler.addHeapSnapshotChunk", take)
    snapshot = json.loads("".join(chunks))
    meta, nodes = snapshot["snapshot"]["meta"], snapshot["nodes"]
    fields = meta["node_fields"]
    kinds, sizes = (nodes[fields.index(name) :: len(fields)] for name in ("type", "self_size"))
    code = meta["node_types"][0].index("code")
    return sum(size for kind, size in zip(kinds, sizes, strict=True) if kind != code)


def soak(address: str, admin: dict[str, str], *, updates: int, per_picture: int, chromium: str) -> int:
    """Let the updates pass, print, and return the exit status."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/admin/login/?next=/monitor/")
        page.fill("#id_username", admin["username"])
        page.fill("#id_password", admin["password"])
        page.add_init_script(path=ROOT / "benchmarks" / "live_soak.js")
        page.press("#id_password", "Enter")
        page.wait_for_url(re.compile(r":\d+/monitor/"))
        page.locator("#live-state[data-state=live]").wait_for(timeout=60_000)
        page.set_default_timeout(0)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        seen: list[dict[str, float]] = []
        listed: list[int] = []
        began = time.monotonic()
        for part in range(PARTS):
            page.evaluate("([count, perPicture]) => soak(count, perPicture)", [updates // PARTS, per_picture])
            seen.append(heap(session))
            if part in (0, PARTS - 1):
                listed.append(objects(session))
            now, passed = seen[-1], (part + 1) * updates // PARTS
            print(
                f"{passed:>7,} updates: heap {now['heap'] / 1e6:.2f} MB, {now['nodes']:.0f} nodes, {now['listeners']:.0f} listeners",
                flush=True,
            )
        seconds = time.monotonic() - began
        charts = page.evaluate(CHARTS)
        browser.close()
    growth, whole = listed[-1] / listed[0], seen[-1]["heap"] / seen[0]["heap"]
    first, last = updates // PARTS, updates // PARTS * PARTS
    print(f"{last:,} updates in {seconds:.0f} s: {last / seconds:.0f} times as fast as in life; {charts} canvases")
    print(f"from {first:,} to {last:,} updates the heap with compiled code grew to {whole:.3f} of what it was")
    print(f"without compiled code: {listed[0] / 1e6:.2f} → {listed[-1] / 1e6:.2f} MB, {growth:.3f} (bar: below {MAX_GROWTH})")
    for line in said:
        print(f"the page complained: {line}")
    is_reached = growth < MAX_GROWTH and not said
    print("bar reached" if is_reached else "BAR NOT REACHED")
    return 0 if is_reached else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Twelve hours of the big screen.")
    parser.add_argument("--updates", type=int, default=43_200)
    parser.add_argument("--per-picture", type=int, default=4, help="updates between two pictures")
    parser.add_argument("--chromium", default=CHROMIUM)
    options = parser.parse_args()
    if not options.chromium:
        print("This needs Chromium.", file=sys.stderr)
        return 1
    print(f"beside it ran: {others()}")
    with running() as installation:
        installation.watch_start()
        admin = json.loads((installation.data / "demo.json").read_text())["admin"]
        return soak(
            f"http://127.0.0.1:{installation.port}",
            admin,
            updates=options.updates,
            per_picture=options.per_picture,
            chromium=options.chromium,
        )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
