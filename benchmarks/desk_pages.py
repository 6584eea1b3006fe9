"""Whether the desk stays smooth with thousands of open conversations, in a real Chromium: opening it, scrolling, searching, its keys.

    python -m benchmarks.desk_pages [--conversations 5000] [--changes 5] [--rounds 3] [--output FILE]

Starts an installation as `make run` does, and writes the conversations: each of another customer, with a line in English or Chinese, and
its clocks. While it is measured customers go on writing in them, so that rows change and are read again. The page is the desk of an agent,
1440 pixels wide, with the view *Team*; it is watched from inside (`desk_pages.js`):

- frames while the list is scrolled through, at three speeds: the time from one to the next, and those whose work took 50 ms or more
  (https://developer.mozilla.org/docs/Web/API/PerformanceLongAnimationFrameTiming);
- elements in the list, and how long rows in sight were empty once the scrolling had ended;
- searches from the last key to the rows that were found; the page waits 250 ms for another key before it asks;
- keys from the event to the next painted frame (https://www.w3.org/TR/event-timing/), in steps of 8 ms.

A machine that does other work at the same time makes all of this slower; what ran beside it is printed. Exit status 0: all bounds hold.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.idle import Installation, running
from benchmarks.machine import others
from benchmarks.result import Comparison, Result
from benchmarks.rig import Program
from posthaste.env import ROOT
from tests import packages

MS = 120_000
SPEEDS = {"reading": (40, 600), "by wheel": (400, 2_000), "thrown": (4_000, 2_000)}  # pixels a frame, and frames at most
#: What is searched for, by what it is. Orders have numbers from 100000 on.
SEARCHES = {"an order": "A-100042", "a word": "refund", "Chinese": "退款", "a name": "王", "nothing": "xyzzy"}
STEPS, OPENED = 100, 10
MAX_ELEMENTS, MAX_KEY_MS, MAX_SEARCH_MS, MIN_IN_TIME = 60, 100.0, 1_000.0, 99.0
MAX_FRAME_MS = 50.0
TOTAL = "document.getElementById('list-total').textContent"


def percentile(values: list[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@contextmanager
def filled(installation: Installation, *, conversations: int, changes: float) -> Iterator[dict[str, str]]:
    """Write the conversations, have customers go on writing for the block, and yield the agent's session."""
    folder = installation.data.parent
    ready = folder / "filled.json"
    command = [sys.executable, "-m", "benchmarks.desk_filling", str(ready), str(conversations), str(changes)]
    with Program("filling", command, folder=folder, environment={"DATA_DIR": str(installation.data)}) as program:
        program.wait_for(ready.exists)
        yield json.loads(ready.read_text())


class Desk:
    """The page of the agent."""

    def __init__(self, browser: Any, address: str, session: dict[str, str]) -> None:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        context.set_default_timeout(MS)
        context.add_cookies([{**session, "url": address}])
        context.add_init_script(path=ROOT / "benchmarks" / "desk_pages.js")
        self.page, self.address = context.new_page(), address
        self.said: list[str] = []
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def open(self) -> float:
        """Open the desk, and return the milliseconds until its first rows stood there."""
        self.page.goto(f"{self.address}/desk/?view=team")
        self.page.locator("#live-state[data-state=live]").wait_for()
        self.page.locator("#presence").wait_for()
        return float(self.page.evaluate("untilRows()"))

    def scroll(self, pixels: int, frames: int) -> dict[str, Any]:
        """Scroll from the top on, and return what was seen."""
        return dict(self.page.evaluate("([pixels, frames]) => scrollThrough(pixels, frames)", [pixels, frames]))

    def search(self, text: str) -> dict[str, Any]:
        """Search by keyboard, and return how long that took and how many were found; then show all again."""
        self.page.evaluate("here.typedAt = 0")
        self.page.evaluate(f"void (window.found = untilFound({TOTAL}))")
        self.page.keyboard.press("/")
        self.page.keyboard.type(text)
        found = dict(self.page.evaluate("found"))
        self.page.evaluate("here.typedAt = 0")
        self.page.evaluate(f"void (window.found = untilFound({TOTAL}))")
        self.page.locator("#desk-find").fill("")
        self.page.evaluate("found")
        self.page.keyboard.press("Escape")
        return found

    def step(self) -> list[float]:
        """Walk down the list by keys, and return how long each took until it was painted; those below 16 ms count as that."""
        self.page.evaluate("here.keys = []")
        for _step in range(STEPS):
            self.page.keyboard.press("j")
        self.page.evaluate("new Promise((resolve) => setTimeout(resolve, 500))")  # entries come after the frame that they tell of
        told: list[float] = self.page.evaluate("here.keys")
        return [*told, *[16.0] * (STEPS - len(told))]

    def open_some(self) -> list[float]:
        """Open conversations one after the other by keys, and return the milliseconds until their lines stood there."""
        took = []
        for _each in range(OPENED):
            self.page.keyboard.press("j")
            self.page.evaluate("void (window.opened = untilOpen())")
            self.page.keyboard.press("Enter")
            took.append(float(self.page.evaluate("opened")))
            self.page.keyboard.press("Escape")
        return took


def measure(desk: Desk, *, rounds: int) -> Result:
    """Open, scroll, search and walk, and return the figures."""
    opened, keys, conversations = [], [], []
    scrolled: dict[str, list[dict[str, Any]]] = {name: [] for name in SPEEDS}
    searched: dict[str, list[dict[str, Any]]] = {name: [] for name in SEARCHES}
    for number in range(rounds + 1):  # the first one warms up: the browser compiles, the server loads
        opened.append(desk.open())
        for name, (pixels, frames) in SPEEDS.items():
            scrolled[name].append(desk.scroll(pixels, frames))
        for name, text in SEARCHES.items():
            searched[name].append(desk.search(text))
        desk.page.evaluate("document.getElementById('rows').scrollTop = 0")
        keys.append(desk.step())
        conversations.append(desk.open_some())
        print(f"round {number} of {rounds}", flush=True)

    def below(figure: str, unit: str, ours: list[float], bound: float | None = None) -> Comparison:
        return Comparison(figure, unit, ours[1:], "", [bound] if bound else [], 1.0 if bound else 0.0, higher_is_better=False)

    comparisons = [below("desk opened until rows stand there", "ms", opened)]
    for name, seen in scrolled.items():
        in_time = [100 * sum(gap <= MAX_FRAME_MS for gap in each["gaps"]) / len(each["gaps"]) for each in seen]
        comparisons += [
            Comparison(f"scrolled {name}: frames within {MAX_FRAME_MS:.0f} ms", "%", in_time[1:], "", [MIN_IN_TIME], 1.0),
            below(f"scrolled {name}: longest frame", "ms", [max(each["gaps"]) for each in seen]),
            below(f"scrolled {name}: frames with 50 ms of work or more", "", [float(len(each["slow"])) for each in seen]),
            below(f"scrolled {name}: rows in sight empty at the end for", "ms", [each["settled"] for each in seen]),
        ]
    elements = [float(max(seen[number]["elements"] for seen in scrolled.values())) for number in range(rounds + 1)]
    comparisons.append(below("elements of the list", "", elements, float(MAX_ELEMENTS)))
    for name, found in searched.items():
        comparisons += [
            below(f"search for {name}, {found[-1]['total']}", "ms", [each["shown"] for each in found], MAX_SEARCH_MS),
            below(f"search for {name}: of it the server", "ms", [each["server"] for each in found]),
        ]
    comparisons += [
        below(f"key j, p95 of {STEPS}", "ms", [percentile(each, 95) for each in keys], MAX_KEY_MS),
        below("key j, longest", "ms", [max(each) for each in keys]),
        below(f"conversation opened until its lines stand there, median of {OPENED}", "ms", [median(each) for each in conversations]),
    ]
    notes = []
    for name, seen in scrolled.items():
        last = seen[-1]
        notes.append(f"scrolled {name}: {last['rows']:,.0f} rows in {last['seconds']:.1f} s, {len(last['gaps']):,} frames")
    return Result(comparisons, notes=[*notes, *(f"the page complained: {line}" for line in desk.said)])


def main() -> int:
    """Start, measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description="The desk with thousands of open conversations.")
    parser.add_argument("--conversations", type=int, default=5_000)
    parser.add_argument("--changes", type=float, default=5.0, help="lines of customers a second while it is measured (default: 5)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="also write the figures there, as JSON")
    options = parser.parse_args()
    chromium = packages.chromium()
    if chromium is None:
        print("This needs Chromium.", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    print(f"beside it ran: {others()}; load {os.getloadavg()[0]:.1f}", flush=True)
    with running() as installation:
        installation.watch_start()
        with filled(installation, conversations=options.conversations, changes=options.changes) as session, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
            desk = Desk(browser, f"http://127.0.0.1:{installation.port}", session)
            result = measure(desk, rounds=options.rounds)
            browser.close()
    print(result.table(f"desk_pages, {options.conversations:,} open conversations"))
    if options.output:
        options.output.write_text(json.dumps(result.as_dict(), indent=2) + "\n")
    return 1 if desk.said or any(each.reached is False for each in result.comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
