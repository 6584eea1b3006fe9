"""How long a text takes."""

import time
from collections.abc import Sequence
from statistics import median

from routing.intents.recognition import Recogniser

MAX_TIMED = 200


def milliseconds_a_text(recogniser: Recogniser, texts: Sequence[str]) -> float:
    """Return the median time of one text at a time, of up to two hundred."""
    recogniser.warm()
    took = []
    for text in texts[:MAX_TIMED]:
        began = time.perf_counter()
        recogniser.classify([text])
        took.append(1000 * (time.perf_counter() - began))
    return round(median(took), 2)
