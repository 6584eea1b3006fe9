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
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.idle import Installation, running
from benchmarks.machine import others
from benchmarks.result import spread
from benchmarks.rig import Program
from posthaste.env import ROOT
from tests import packages

MS = 120_000
SPEEDS = {"reading": (40, 600), "by wheel": (400, 2_000), "thrown": (4_000, 2_000)}  # pixels a frame, and frames at most
#: What is searched for, by what it is. Orders have numbers from 100000 on.
SEARCHES = {"an order": "A-100042", "a word": "refund", "Chinese": "退款", "a name": "王", "nothing": "xyzzy"}
STEPS, OPENED = 100, 10
REPEAT_MS = 33  # of a key that is held down
SETTLE_MS = 500  # until the browser has told of the last key
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

    def step(self) -> tuple[list[float], list[float]]:
        """Hold `j` down, and return how long each step took until it was painted, and how long the page's scripts worked for it.

        Steps that were painted within 16 ms are not told of: they count as 16 ms.
        """
        self.page.evaluate("here.keys = []; here.work = []")
        for _step in range(STEPS):
            self.page.keyboard.press("j")
            self.page.wait_for_timeout(REPEAT_MS)
        self.page.wait_for_timeout(SETTLE_MS)
        told, work = self.page.evaluate("[here.keys, here.work]")
        return [*told, *[16.0] * (STEPS - len(told))], work or [0.0]

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


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in each round, and its bound; without one it is only shown."""

    name: str
    unit: str
    values: list[float]
    bound: float | None = None
    is_most: bool = True

    @property
    def holds(self) -> bool | None:
        middle = median(self.values)
        return None if self.bound is None else middle <= self.bound if self.is_most else middle >= self.bound

    def line(self) -> str:
        """Return the row of the table."""
        bound = "" if self.bound is None else f"{'≤' if self.is_most else '≥'} {self.bound:,g} {self.unit}"
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[self.holds]
        return f"  {self.name:<66} {spread(self.values) + ' ' + self.unit:<26} {bound:<12} {verdict}".rstrip()


@dataclass(slots=True)
class Round:
    """What was seen in one round."""

    opened: float
    scrolled: dict[str, dict[str, Any]]
    searched: dict[str, dict[str, Any]]
    keys: list[float]
    work: list[float]
    talks: list[float]


def one_round(desk: Desk) -> Round:
    """Open the desk, scroll, search, walk, and open conversations."""
    opened = desk.open()
    scrolled = {name: desk.scroll(pixels, frames) for name, (pixels, frames) in SPEEDS.items()}
    searched = {name: desk.search(text) for name, text in SEARCHES.items()}
    desk.page.evaluate("document.getElementById('rows').scrollTop = 0")
    keys, work = desk.step()
    return Round(opened, scrolled, searched, keys, work, desk.open_some())


def figures(rounds: list[Round]) -> list[Figure]:
    """Return what the rounds gave."""
    found = [Figure("desk opened until rows stand there", "ms", [each.opened for each in rounds])]
    for name in SPEEDS:
        seen = [each.scrolled[name] for each in rounds]
        in_time = [100 * sum(gap <= MAX_FRAME_MS for gap in each["gaps"]) / len(each["gaps"]) for each in seen]
        walked = f"{seen[-1]['rows']:,.0f} rows in {seen[-1]['seconds']:.1f} s"
        found += [
            Figure(f"scrolled {name}, {walked}: frames within {MAX_FRAME_MS:.0f} ms", "%", in_time, MIN_IN_TIME, is_most=False),
            Figure(f"scrolled {name}: longest frame", "ms", [max(each["gaps"]) for each in seen]),
            Figure(f"scrolled {name}: frames with 50 ms of work or more", "", [float(len(each["slow"])) for each in seen]),
            Figure(f"scrolled {name}: rows in sight empty at the end for", "ms", [each["settled"] for each in seen]),
        ]
    elements = [float(max(seen["elements"] for seen in each.scrolled.values())) for each in rounds]
    found.append(Figure("elements of the list", "", elements, float(MAX_ELEMENTS)))
    for name in SEARCHES:
        hits = [each.searched[name] for each in rounds]
        found += [
            Figure(f"search for {name}, {hits[-1]['total']}", "ms", [each["shown"] for each in hits], MAX_SEARCH_MS),
            Figure(f"search for {name}: of it the server", "ms", [each["server"] for each in hits]),
        ]
    return [
        *found,
        Figure(f"key j held down, p95 of {STEPS}", "ms", [percentile(each.keys, 95) for each in rounds], MAX_KEY_MS),
        Figure("key j: longest", "ms", [max(each.keys) for each in rounds]),
        Figure("key j: of it scripts, p95", "ms", [percentile(each.work, 95) for each in rounds]),
        Figure(f"conversation opened until its lines stand there, median of {OPENED}", "ms", [median(each.talks) for each in rounds]),
    ]


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
            one_round(desk)  # warms up: the browser compiles, the server loads
            rounds = [one_round(desk) for _round in range(options.rounds)]
            browser.close()
    found = figures(rounds)
    print(f"{options.conversations:,} open conversations, {options.changes:g} lines of customers a second, {options.rounds} rounds:")
    print("\n".join(figure.line() for figure in found))
    for line in desk.said:
        print(f"the page complained: {line}")
    if options.output:
        options.output.write_text(json.dumps([{**asdict(figure), "holds": figure.holds} for figure in found], indent=2) + "\n")
    return 1 if desk.said or any(figure.holds is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
