"""A model is data: nothing in it runs, nothing in it is trusted."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from routing.intents import artefact
from routing.intents.artefact import Unusable, digest, pack, unpack
from tests.routing.intents.texts import fitted, packed


def parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed())) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(content: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in content.items():
            file.writestr(name, part)
    return made.getvalue()


def as_array(array: Any, *, allow_pickle: bool = False) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=allow_pickle)
    return made.getvalue()


def about(**changed: object) -> bytes:
    return json.dumps({**json.loads(parts()["model.json"]), **changed}).encode()


def test_a_model_comes_back_as_it_was_and_has_the_same_hash_each_time() -> None:
    model = fitted().model
    found = unpack(packed(), expected=digest(packed()))
    assert found.about == model.about
    assert found.vocabularies == model.vocabularies
    assert all((found.arrays[name] == model.arrays[name]).all() for name in artefact.SHAPES)
    assert pack(found) == packed()


def test_a_model_that_was_changed_is_refused() -> None:
    changed = bytearray(packed())
    changed[len(changed) // 2] ^= 1
    with pytest.raises(Unusable, match="hash"):
        unpack(bytes(changed), expected=digest(packed()))


class Bomb:
    ran = False

    def __reduce__(self) -> tuple[Callable[..., None], tuple[()]]:
        return (explode, ())


def explode() -> None:
    Bomb.ran = True


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda: {"idf.npy": as_array(np.array([Bomb()]), allow_pickle=True)}, id="pickled array"),
        pytest.param(lambda: {"idf.npy": pickle.dumps(Bomb())}, id="pickle"),
        pytest.param(lambda: {"extra.py": b"print()"}, id="another part"),
        pytest.param(lambda: {"model.json": b"{"}, id="no JSON"),
        pytest.param(lambda: {"model.json": about(format=99)}, id="another format"),
        pytest.param(lambda: {"model.json": about(encoder="0" * 64)}, id="another encoder"),
        pytest.param(lambda: {"model.json": about(labels=["a", "a", "b"])}, id="label twice"),
        pytest.param(lambda: {"model.json": about(pool=[1.0])}, id="weight missing"),
        pytest.param(lambda: {"vocabulary.json": b'[["one"],[]]'}, id="vocabulary too short"),
        pytest.param(lambda: {"margin_offsets.npy": as_array(np.zeros(99, np.float32))}, id="wrong shape"),
        pytest.param(lambda: {"margin_offsets.npy": as_array(np.zeros(3))}, id="wrong type"),
        pytest.param(lambda: {"margin_offsets.npy": as_array(np.full(3, np.nan, np.float32))}, id="not a number"),
        pytest.param(lambda: {"margin_offsets.npy": as_array(np.zeros(3, np.float32))[:-1]}, id="cut"),
        pytest.param(lambda: {"references.npy": as_array(np.int8(1))}, id="no dimensions"),
    ],
)
def test_what_is_no_model_is_refused_and_runs_nothing(harm: Callable[[], dict[str, bytes]]) -> None:
    content = zipped(parts() | harm())
    with pytest.raises(Unusable):
        unpack(content, expected=digest(content))
    assert not Bomb.ran


def test_a_zip_that_unpacks_to_too_much_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefact, "MAX_UNPACKED_BYTES", 10_000)
    with pytest.raises(Unusable, match="more than 10000 bytes"):
        unpack(packed(), expected=digest(packed()))
    with pytest.raises(Unusable, match="can't be read"):
        unpack(b"no zip", expected=digest(b"no zip"))


def test_an_array_of_the_wrong_shape_is_not_packed() -> None:
    model = fitted().model
    with pytest.raises(Unusable, match="idf"):
        pack(replace(model, arrays={**model.arrays, "idf": np.zeros(1, np.float32)}))
