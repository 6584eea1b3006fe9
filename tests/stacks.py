"""Names and stacks of threads, for reports of failures."""

import sys
import threading
import traceback
from collections.abc import Iterable


def stacks_of(threads: Iterable[threading.Thread]) -> str:
    """Return the names and stacks of threads."""
    frames = sys._current_frames()
    told = []
    for thread in threads:
        frame = frames.get(thread.ident or 0)
        told.append(f"Thread {thread.name}:\n{''.join(traceback.format_stack(frame)) if frame else ''}")
    return "\n".join(told)
