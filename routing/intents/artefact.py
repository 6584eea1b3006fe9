"""A trained model as bytes that can't run code: a zip of JSON and NumPy arrays, known by the hash of its content.

    model.json        how the scores are put together, and how the model was made
    vocabulary.json   the n-grams, [words, characters]
    <name>.npy        the arrays of `SHAPES`

What is loaded is checked before memory is taken for it: the hash, the names, the sizes, the shapes, the versions.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from routing.intents.vectors import DIMENSIONS, ENCODER

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024  # of the zip
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_LABELS = 1_000
MAX_NGRAMS = 2_000_000
SCOPE_FIGURES = 6  # a constant and a coefficient for each feature
ABOUT, VOCABULARY = "model.json", "vocabulary.json"
#: The zip says nothing of the day on which it was made, so the same model is the same bytes.
NO_DATE = (1980, 1, 1, 0, 0, 0)

Array = npt.NDArray[np.generic]
#: Type and shape of each array: N n-grams, L labels, R reference vectors, D dimensions of a vector.
SHAPES: dict[str, tuple[str, str]] = {
    "idf": ("<f4", "N"),
    "margin_weights": ("|i1", "NL"),
    "margin_scales": ("<f4", "N"),
    "margin_offsets": ("<f4", "L"),
    "references": ("|i1", "RD"),
    "reference_weights": ("<f2", "RL"),
}


class Unusable(Exception):
    """The bytes are not a model that this version can load; the message says why."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a text counts as out of scope."""

    threshold: float  # least confidence of the best intent
    gap: float  # least distance to the next best


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the scores of a model are put together."""

    format: int
    encoder: str  # hash of the weights of the sentence encoder
    labels: list[str]
    pool: list[float]  # weights of the log-probabilities: n-grams, vectors
    width: float  # of the kernel: exp(-width · distance²)
    reference_scale: float
    scope: list[float]  # of the logistic function that tells what is in scope; empty: everything is
    rejection: Rejection
    languages: dict[str, int] = {}  # texts that it was trained with
    texts: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model as data."""

    about: About
    vocabularies: tuple[list[str], list[str]]
    arrays: Mapping[str, Array]


def digest(content: bytes) -> str:
    """Return the hash that a model is known by."""
    return hashlib.sha256(content).hexdigest()


def pack(model: Model) -> bytes:
    """Return a model as bytes; the same model gives the same bytes.

    Raises:
        Unusable: an array has not the type or shape of `SHAPES`.
    """
    sizes = _dimensions(model.about, model.vocabularies, model.arrays["references"].shape)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        _add(file, ABOUT, msgspec.json.format(msgspec.json.encode(model.about, order="sorted"), indent=1))
        _add(file, VOCABULARY, json.dumps(model.vocabularies, ensure_ascii=False, separators=(",", ":")).encode())
        for name, (kind, shape) in SHAPES.items():
            array = model.arrays[name]
            if array.dtype.str != kind or array.shape != tuple(sizes[letter] for letter in shape):
                raise Unusable(f"The array {name} is {array.dtype.str} {array.shape}.")
            written = io.BytesIO()
            np.lib.format.write_array(written, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            _add(file, f"{name}.npy", written.getvalue())
    return packed.getvalue()


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, NO_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(entry, content, compresslevel=9)


def unpack(content: bytes, *, expected: str) -> Model:
    """Return the model whose hash is `expected`.

    Raises:
        Unusable: the bytes are others, or no model that this version knows.
    """
    if len(content) > MAX_BYTES:
        raise Unusable(f"The model has {len(content)} bytes; at most {MAX_BYTES} are loaded.")
    if digest(content) != expected:
        raise Unusable("The model has changed since it was trained: its hash is another. Train it again, or activate another version.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return _read(file)
    except (zipfile.BadZipFile, msgspec.MsgspecError, ValueError, KeyError, EOFError, NotImplementedError) as error:
        raise Unusable(f"The model can't be read: {error}") from error


def _read(file: zipfile.ZipFile) -> Model:
    entries = {entry.filename: entry for entry in file.infolist()}
    expected = {ABOUT, VOCABULARY, *(f"{name}.npy" for name in SHAPES)}
    if set(entries) != expected or len(file.infolist()) != len(expected):
        raise Unusable("The model has not the parts that this version knows. Train it again.")
    if sum(entry.file_size for entry in entries.values()) > MAX_UNPACKED_BYTES:
        raise Unusable(f"The model takes more than {MAX_UNPACKED_BYTES} bytes.")
    about = msgspec.json.decode(file.read(ABOUT), type=About)
    _check(about)
    words, characters = msgspec.json.decode(file.read(VOCABULARY), type=tuple[list[str], list[str]])
    with file.open("references.npy") as part:
        references = _header(part, "references")[0]
    sizes = _dimensions(about, (words, characters), references)
    arrays = {
        name: _array(file, entries[f"{name}.npy"], name, tuple(sizes[letter] for letter in shape)) for name, (_k, shape) in SHAPES.items()
    }
    return Model(about, (words, characters), arrays)


def _check(about: About) -> None:
    if about.format != FORMAT:
        raise Unusable(f"The model has format {about.format}, this version loads {FORMAT}. Train it again.")
    if about.encoder != ENCODER:
        raise Unusable("The model was trained with another sentence encoder. Train it again.")
    if not 2 <= len(about.labels) <= MAX_LABELS or len(set(about.labels)) != len(about.labels):
        raise Unusable(f"The model has {len(about.labels)} labels, or some of them twice.")
    figures = [*about.pool, *about.scope, about.width, about.reference_scale, about.rejection.threshold, about.rejection.gap]
    if len(about.pool) != 2 or len(about.scope) not in (0, SCOPE_FIGURES) or not all(map(math.isfinite, figures)):
        raise Unusable("The figures of the model are out of range.")


def _dimensions(about: About, vocabularies: tuple[list[str], list[str]], references: tuple[int, ...]) -> dict[str, int]:
    sizes = {"N": sum(map(len, vocabularies)), "L": len(about.labels), "R": references[0] if references else 0, "D": DIMENSIONS}
    if sizes["N"] > MAX_NGRAMS:
        raise Unusable(f"The model has more than {MAX_NGRAMS} n-grams.")
    return sizes


def _header(part: Any, name: str) -> tuple[tuple[int, ...], str]:
    if np.lib.format.read_magic(part) != (1, 0):
        raise Unusable(f"The array {name} has another format.")
    shape, is_fortran, kind = np.lib.format.read_array_header_1_0(part)
    if is_fortran or kind.hasobject:
        raise Unusable(f"The array {name} is not stored as plain numbers by rows.")
    return shape, kind.str


def _array(file: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, expected: tuple[int, ...]) -> Array:
    with file.open(entry) as part:
        shape, kind = _header(part, name)
        if kind != SHAPES[name][0] or shape != expected:
            raise Unusable(f"The array {name} is {kind} {shape}; {SHAPES[name][0]} {expected} is needed.")
        size = math.prod(shape) * np.dtype(kind).itemsize
        # One byte more than there may be, so that a zip that says too little of itself is not unpacked to its end.
        content = part.read(size + 1)
    if len(content) != size:
        raise Unusable(f"The array {name} has not the length of its shape.")
    array = np.frombuffer(content, dtype=kind).reshape(shape)
    if kind.startswith("<f") and not np.isfinite(array).all():
        raise Unusable(f"The array {name} has numbers that are not finite.")
    return array
