"""Values as the code reads them."""

import re
from collections.abc import Mapping
from typing import Self

import pytest
from django.utils.translation import override
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Applied, Module, Wrong, setting
from configcenter.services.fields import assign, parts_of, read
from configcenter.services.validation import explain
from posthaste.lib.problems import Invalid


class Trial(Module):
    """A module of the tests."""

    number: int = setting(1, "Number", "", ge=1)


def make_handle() -> "hot.Handle[Trial]":
    return hot.Handle(Trial, name="trial", title="Trial", purpose="", order=99, per_tenant=frozenset({"number"}))


def test_all_sixteen_modules_are_registered_with_defaults_and_words() -> None:
    assert [handle.order for handle in hot.modules()] == list(range(1, 17))
    for handle in hot.modules():
        assert handle.title
        assert handle.purpose
        for name, field in handle.model.model_fields.items():
            assert field.title, f"{handle.name}.{name}"


class Wide(Module):
    """Defaults outside their limits."""

    number: int = setting(100, "Number", "", ge=1, le=10)
    names: list[str] = setting(lambda: ["a", "b"], "Names", "", max_length=1)


class Bare(Module):
    """A field without a default."""

    number: int = setting(..., "Number", "")


class Untitled(Module):
    """A field without a title."""

    number: int = setting(1)


class Crossed(Module):
    """A default that a check over several fields refuses."""

    number: int = setting(1, "Number", "")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.number == 1:
            raise Wrong("number", "Must not be {value}.", value=1)
        return self


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Wide, "number: Input should be less than or equal to 10; names: List should have at most 1 item"),
        (Bare, "number of the module trial need a default"),
        (Untitled, "number of the module trial need a title"),
        (Crossed, "Must not be 1"),
    ],
)
def test_a_module_whose_fields_could_not_be_used_is_refused_where_it_is_declared(model: type[Module], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        hot.register(model, name="trial", title="Trial", purpose="", order=99)
    assert "trial" not in {handle.name for handle in hot.modules()}


@pytest.mark.parametrize("name", ["Trial", "my trial", "a/b", "", "t" * 41])
def test_a_module_name_that_an_address_could_not_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="module name"):
        hot.register(Trial, name=name, title="Trial", purpose="", order=99)


def test_a_value_is_never_changed_in_place() -> None:
    handle = make_handle()
    before = handle.value
    handle.swap(Applied(Trial(number=2), 1, "x"))
    assert (before.number, handle.value.number, handle.now.release) == (1, 2, 1)
    with pytest.raises(ValueError, match="frozen"):
        handle.value.number = 3  # type: ignore[misc]


def test_a_listener_that_fails_harms_nobody() -> None:
    handle = make_handle()
    heard: list[int] = []
    handle.listen(lambda _value: 1 / 0)  # type: ignore[arg-type]
    handle.listen(lambda value: heard.append(value.number))
    handle.swap(Applied(Trial(number=2)))
    assert (heard, handle.value.number) == ([2], 2)


def test_a_value_for_the_block_is_taken_back() -> None:
    handle = make_handle()
    with handle.set(number=5):
        assert handle.value.number == 5
    assert handle.value.number == 1
    with pytest.raises(ValueError, match="greater than"), handle.set(number=0):
        pass


def test_a_name_is_registered_once_and_overrides_name_fields() -> None:
    with pytest.raises(ValueError, match="twice"):
        hot.register(Trial, name="queues", title="", purpose="", order=99)
    with pytest.raises(ValueError, match="no field"):
        hot.register(Trial, name="trial", title="", purpose="", order=99, per_tenant=("colour",))


def test_places_inside_a_value() -> None:
    value = {"rules": [{"a": 1}, {"a": 2}]}
    assert parts_of("rules[1].a") == parts_of("rules.1.a") == ["rules", "1", "a"]
    assert read(value, "rules[1].a") == 2
    assign(value, "rules[2]", {"a": 3})
    assign(value, "rules[0].a", 9)
    assert value == {"rules": [{"a": 9}, {"a": 2}, {"a": 3}]}
    for path in ("rules[7]", "rules.x", "", "nothing.here"):
        with pytest.raises(Invalid):
            read(value, path)


def test_pydantics_errors_are_told_in_our_words() -> None:
    try:
        Trial.model_validate({"number": 0, "colour": 1})
    except ValueError as error:
        told = explain(error)  # type: ignore[arg-type]
    assert [(entry["field"], entry["message"]) for entry in told] == [
        ("number", "Must be at least 1."),
        ("colour", "Unknown field."),
    ]


def test_checks_of_a_module_are_told_in_the_readers_language_with_their_values() -> None:
    def told(name: str, value: Mapping[str, object]) -> list[tuple[str, str]]:
        try:
            hot.module(name).model.model_validate(value)
        except ValueError as error:
            return [(entry["field"], entry["message"]) for entry in explain(error)]  # type: ignore[arg-type]
        return []

    twice = {"rules": [{"name": "mine", "per_second": 5}, {"name": "mine", "per_second": 6}]}
    assert told("flow_rules", twice) == [("rules", "There are two rules named mine.")]
    with override("zh-hans"):
        said = told("flow_rules", twice) + told("delivery_rules", {"default_time_zone": "Nowhere"}) + told("queues", {"queue_capacity": 0})
    assert said[0] == ("rules", "有两条规则名为 mine。")
    assert all(re.search(r"[\u4e00-\u9fff]", text) for _field, text in said), said
