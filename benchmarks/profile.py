"""Where the time goes: a sampling profile of one of our processes while it works.

    python -m benchmarks.profile accept|deliver|email|http [--count N] [--depth N] [--save FILE]

Prints the share of the process's samples by function: alone, and with everything it calls. Only samples that hold the
interpreter count, so what waits costs nothing here. py-spy reads the process from outside and slows it by a few per cent.
"""

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measure.end_to_end_http import gateway, provider_config
from benchmarks.ours import BATCH_ROWS, Ours
from benchmarks.rig import BASELINE_PYTHON, TICKS, smtp_sink, start_services
from posthaste.env import ROOT

SPY = BASELINE_PYTHON.with_name("py-spy")
COUNTS = {"accept": 20_000, "deliver": 50_000, "email": 5_000, "http": 10_000}
# Frames of what stands between our code and the work, left out of the tables: they are in every sample.
DULL = re.compile(r"^(_bootstrap|_bootstrap_inner|run|<module>|main|_run_code|_run_module_as_main|invoke|start|callback)\b")


def spy(pid: int, seconds: int, output: Path, form: str) -> subprocess.Popen[bytes]:
    """Start the profiler on a process and its children."""
    command = [str(SPY), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", "200", "--subprocesses", "--gil"]
    return subprocess.Popen([*command, "--format", form, "--output", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def short(frame: str) -> str:
    """`write (messaging/storage/store.py:93)` without the line and without the folders of the installation."""
    name, _sep, place = frame.partition(" (")
    place = place.rstrip(")").rpartition(":")[0].replace(f"{ROOT}/", "")
    return f"{name} ({place.partition('site-packages/')[2] or place.partition('python3.11/')[2] or place})"


def tables(raw: Path, depth: int) -> str:
    """Return the two tables of a raw profile (one stack a line, with its number of samples)."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in raw.read_text().splitlines():
        stack, _sep, count = line.rpartition(" ")
        frames = [short(frame) for frame in stack.split(";") if not frame.startswith("process ")]
        if not frames:
            continue
        total += int(count)
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            if not DULL.match(frame):
                within[frame] += int(count)
    lines = [f"{total} samples"]
    for title, counter in (("with what it calls", within), ("alone", alone)):
        lines += ["", f"  %   {title}"]
        lines += [f"{100 * count / max(1, total):5.1f} {frame}" for frame, count in counter.most_common(depth)]
    return "\n".join(lines)


def split(pid: int) -> str:
    """Say how a process has spent its time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{int(fields[11]) / TICKS:.1f} s in the program, {int(fields[12]) / TICKS:.1f} s in the kernel"


def work(what: str, bench: Bench, count: int, stack: ExitStack) -> tuple[str, float]:
    """Prepare the work, start the profiler in the middle of it, and return its file and our CPU ms a message."""
    ours = bench.ours
    seconds = 8
    raw = bench.folder / "profile.raw"
    process = "web" if what == "accept" else "worker"
    if what == "email":
        sink, port = smtp_sink(bench.folder, sys.executable)
        stack.enter_context(sink)
        config = {"host": "127.0.0.1", "port": port, "security": "none", "from_email": "shop@example.com"}
        customer = ours.customer("email", "email", config)
    elif what == "http":
        program, url = gateway(bench)
        stack.enter_context(program)
        customer = ours.customer("sms", "http", provider_config(url))
    else:
        customer = ours.customer()
    if what == "accept":
        stack.enter_context(bench.accept_only())
        spying = spy(ours.stack.processes[process].pid, seconds, raw, "raw")
        before = ours.cpu()
        seen = ours.singles(customer, seconds=seconds + 2)
        print(f"{seen.per_second:.0f}/s, p50 {seen.p50_ms:.1f} ms, p99 {seen.p99_ms:.1f} ms")
        spying.wait(30)
        return raw.read_text(), 1000 * (ours.cpu() - before) / seen.good
    rows = min(count, BATCH_ROWS)
    before = ours.cpu()
    began = ours.batches(customer, count // rows * rows, mail=what == "email").began_at
    accepted = ours.cpu()
    spying = spy(ours.stack.processes[process].pid, seconds, raw, "raw")
    took = ours.wait_terminal() - began
    print("worker: " + split(ours.stack.processes["worker"].pid))
    print(f"{count / took:.0f}/s; accepting took {1000 * (accepted - before) / count:.3f} ms of CPU a message")
    spying.wait(30)
    return raw.read_text(), 1000 * (ours.cpu() - before) / count


def main() -> int:
    """Profile one kind of work."""
    parser = argparse.ArgumentParser(description="A sampling profile of accept or deliver.")
    parser.add_argument("what", choices=COUNTS)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--save", type=Path, help="keep the raw stacks, for a flame graph")
    options = parser.parse_args()
    if not SPY.exists():
        print("py-spy is missing: run `make bench`, which installs it into .venv-bench.", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        services = stack.enter_context(start_services(durable=True))
        ours = stack.enter_context(Ours(services, services.folder))
        bench = Bench(services, services.folder, ours, 1, 1.0)
        stacks, cpu = work(options.what, bench, options.count or COUNTS[options.what], stack)
        print(f"{cpu:.3f} ms of CPU a message in all our processes, at {time.strftime('%H:%M')}")
        raw = services.folder / "profile.raw"
        raw.write_text(stacks)
        print(tables(raw, options.depth))
        if options.save:
            options.save.write_text(stacks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
