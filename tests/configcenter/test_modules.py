"""What the modules refuse: careless and hostile values, told with their field in the reader's language, and nothing is stored."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import orjson
import pytest
from django.utils.translation import override
from pydantic import BaseModel

from configcenter import hot
from configcenter.models import ConfigItem, ConfigNamespace, ConfigRelease
from configcenter.services import items
from posthaste.lib.problems import Invalid
from posthaste.lib.wrong_values import WORDS
from tests.builders import fields_of, json_of, make_api, make_tenant

NAMES = [handle.name for handle in hot.modules()]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Of the type they are no value of any module: wrong types, what is no number, what is too large, too small, or too long.
WRONG: dict[Any, list[Any]] = {
    bool: ["perhaps", 7, None, [], {}],
    int: ["many", True, 1.5, -1, 10**15, 1e30, "NaN", "Infinity", None, [], {}],
    float: ["many", True, -1, -0.5, 1e300, "NaN", "inf", "-Infinity", "1e999", None, [], {}],
    str: [7, True, None, [], {}, "x" * 500],
    list: ["one", 7, None, {}, ["x" * 500, 7], [None], [[]], [True]],
    dict: ["one", 7, None, [], {"no_such_field": 1}],
}


def spots(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a module with the kind of its value, also inside of others; a field that may have no value has a tuple."""
    for name, info in model.model_fields.items():
        kind, own = info.annotation, f"{path}.{name}" if path else name
        if type(None) in get_args(kind):
            yield own, get_args(kind)
            continue
        if get_origin(kind) is list:
            yield own, list
            member = get_args(kind)[0]
            if isinstance(member, type) and issubclass(member, BaseModel):
                yield f"{own}[0]", dict
                yield from spots(member, f"{own}[0]")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield own, dict
            yield from spots(kind, own)
        else:
            yield own, kind if kind in WRONG else str


def wrong(kind: Any) -> list[Any]:
    """Return what is no value of a kind."""
    if isinstance(kind, tuple):
        return [value for value in WRONG[kind[0]] if value is not None]
    return WRONG[kind]


def document(path: str, value: Any) -> dict[str, Any]:
    """Return a module's value with one thing set at a place."""
    made: Any = value
    for part in reversed(re.findall(r"[^.\[\]]+", path)):
        made = [made] if part == "0" else {part: made}
    return made  # type: ignore[no-any-return]


def told(name: str, value: Any) -> Sequence[Mapping[str, Any]]:
    try:
        item = ConfigItem(namespace=ConfigNamespace(slug="posthaste"), group="posthaste", data_id=name, format="json")
        items.validate(item, orjson.dumps(value).decode())
    except Invalid as error:
        return error.errors
    return []


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_value_of_any_field_is_told_with_the_field_in_our_words_and_in_chinese(name: str) -> None:
    for path, kind in spots(hot.module(name).model):
        for value in wrong(kind):
            errors = told(name, document(path, value))
            assert errors, f"{path} = {value!r} is taken"
            assert any(error["field"].startswith(path) for error in errors), f"{path} = {value!r}: {errors}"
            with override("zh-hans"):
                said = told(name, document(path, value))
            for error, translated in zip(errors, said, strict=True):
                assert error["code"] == "invalid" or error["code"] in {*WORDS, "string_pattern_mismatch"}, f"{path} = {value!r}: {error}"
                assert not re.search(r"[\\^$]|Value error|Input should", error["message"]), f"{path} = {value!r}: {error}"
                assert CHINESE.search(translated["message"]), f"{path} = {value!r}: {translated}"


OVERLAP = [{"day": 1, "start": "09:00", "end": "12:00"}, {"day": 2}, {"day": 1, "start": "11:59", "end": "00:00"}]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("thread_pools", {"min_threads": 5, "max_threads": 4}, "min_threads"),
        ("thread_pools", {"shrink_below_percent": 80}, "shrink_below_percent"),
        ("flow_rules", {"rules": [{"name": "Mine!", "per_second": 1}]}, "rules[0].name"),
        ("flow_rules", {"rules": [{"name": "", "per_second": 1}]}, "rules[0].name"),
        ("flow_rules", {"rules": [{"per_second": 1}, {"per_second": 2}]}, "rules"),
        ("flow_rules", {"rules": [{}]}, "rules[0].per_second"),
        ("flow_rules", {"rules": [{"per_second": 1, "only": ["a", " "]}]}, "rules[0].only[1]"),
        ("flow_rules", {"rules": [{"exceptions": [{"per_second": 1}]}]}, "rules[0].exceptions[0].value"),
        ("flow_rules", {"rules": [{"exceptions": [{"value": "a"}, {"value": "a"}]}]}, "rules[0].exceptions"),
        ("flow_rules", {"rules": [{"per_second": 1, "burst": 5, "behaviour": "queue"}]}, "rules[0].burst"),
        ("flow_rules", {"rules": [{"per_second": 1, "resource": "public", "origin": "key"}]}, "rules[0].origin"),
        ("flow_rules", {"rules": [{"per_second": 1, "behaviour": "explode"}]}, "rules[0].behaviour"),
        ("flow_rules", {"adaptive": {"min_per_second": 9, "max_per_second": 8}}, "adaptive.min_per_second"),
        ("circuit_breakers", {"providers": {"slow_percent": 0, "error_percent": 0}}, "providers"),
        ("retry_policy", {"base_seconds": 5, "max_seconds": 4}, "base_seconds"),
        ("delivery_rules", {"default_time_zone": ""}, "default_time_zone"),
        ("delivery_rules", {"default_time_zone": "Europe/Atlantis"}, "default_time_zone"),
        ("delivery_rules", {"quiet_hours": [{"start": "24:00"}]}, "quiet_hours[0].start"),
        ("delivery_rules", {"quiet_hours": [{"start": "9:00"}]}, "quiet_hours[0].start"),
        ("delivery_rules", {"quiet_hours": [{}, {}]}, "quiet_hours"),
        ("delivery_rules", {"send_windows": [{"days": []}]}, "send_windows[0].days"),
        ("delivery_rules", {"send_windows": [{"days": [0]}]}, "send_windows[0].days"),
        ("delivery_rules", {"send_windows": [{"channels": ["sms", "fax"]}]}, "send_windows[0].channels[1]"),
        ("delivery_rules", {"duplicates": {"channels": [""]}}, "duplicates.channels[0]"),
        ("delivery_rules", {"duplicates": {"exempt_categories": ["Codes"]}}, "duplicates.exempt_categories[0]"),
        ("delivery_rules", {"frequency": [{"channel": "fax"}]}, "frequency[0].channel"),
        ("delivery_rules", {"frequency": [{}, {}]}, "frequency"),
        ("delivery_rules", {"unsubscribe_categories": ["a", ""]}, "unsubscribe_categories[1]"),
        ("delivery_rules", {"bounce_codes": [" "]}, "bounce_codes[0]"),
        ("message_limits", {"max_sms_segments": 256}, "max_sms_segments"),
        ("message_limits", {"max_sms_segments": 0}, "max_sms_segments"),
        ("message_limits", {"body_sizes": [{"channel": "fax"}]}, "body_sizes[0].channel"),
        ("message_limits", {"body_sizes": [{"channel": "push"}, {"channel": "push"}]}, "body_sizes"),
        ("provider_routing", {"strategy": "cheapest"}, "strategy"),
        ("provider_routing", {"channels": [{"channel": "fax"}]}, "channels[0].channel"),
        ("provider_routing", {"channels": [{}, {}]}, "channels"),
        ("provider_routing", {"channels": [{"weights": [{"weight": 5}]}]}, "channels[0].weights[0].provider"),
        ("provider_routing", {"channels": [{"weights": [{"provider": "a"}, {"provider": "a"}]}]}, "channels[0].weights"),
        ("alarms", {"rules": [{}, {}]}, "rules"),
        ("alarms", {"rules": [{"receivers": ["ada"]}]}, "rules[0].receivers[0]"),
        ("alarms", {"rules": [{"metric": "nothing"}]}, "rules[0].metric"),
        ("alarms", {"rules": [{"bound": 5, "clear_bound": 6}]}, "rules[0].clear_bound"),
        ("alarms", {"receivers": [{"address": "ada"}]}, "receivers[0].address"),
        ("alarms", {"quiet_start": "22:00"}, "quiet_end"),
        ("alarms", {"quiet_end": "7"}, "quiet_end"),
        ("assignment", {"fallback_group": " "}, "fallback_group"),
        ("assignment", {"routes": [{"intent": "refund"}]}, "routes[0].skill_group"),
        ("assignment", {"routes": [{"intent": "a", "skill_group": "b"}, {"intent": "a", "skill_group": "c"}]}, "routes"),
        ("assignment", {"rules": [{"name": "a"}]}, "rules[0].skill_group"),
        ("assignment", {"rules": [{"name": "a", "skill_group": "b", "languages": ["en", "English!"]}]}, "rules[0].languages[1]"),
        ("assignment", {"rules": [{"name": "a", "skill_group": "b"}, {"name": "a", "skill_group": "c", "vip": "vip"}]}, "rules"),
        ("assignment", {"rules": [{"name": "a", "skill_group": "b"}, {"name": "c", "skill_group": "c", "vip": "vip"}]}, "rules[1].name"),
        ("assignment", {"rules": [{"name": "a", "skill_group": "b", "priority": 11}]}, "rules[0].priority"),
        ("bot", {"answer_percent": 50, "offer_percent": 51}, "offer_percent"),
        ("bot", {"languages": ["en", "English!"]}, "languages[1]"),
        ("bot", {"details": [{"intent": "a", "name": "b", "question": "?", "pattern": "("}]}, "details[0].pattern"),
        ("bot", {"details": [{"intent": "a", "name": "B", "question": "?"}]}, "details[0].name"),
        ("bot", {"details": [{"intent": "a", "name": "b", "question": "?"}, {"intent": "a", "name": "b", "question": "!"}]}, "details"),
        ("assignment", {"presence_grace_seconds": 60, "phone_grace_seconds": 59}, "phone_grace_seconds"),
        ("service_levels", {"time_zone": "Mars"}, "time_zone"),
        ("service_levels", {"hours": [{"start": "18:00", "end": "09:00"}]}, "hours[0].end"),
        ("service_levels", {"hours": [{"start": "18:00", "end": "18:00"}]}, "hours[0].end"),
        ("service_levels", {"hours": OVERLAP}, "hours[2].start"),
        ("service_levels", {"holidays": ["2026-12-25", "2026-02-30"]}, "holidays[1]"),
        ("service_levels", {"targets": [{"priority": "huge"}]}, "targets[0].priority"),
        ("service_levels", {"targets": [{}, {}]}, "targets"),
        ("service_levels", {"targets": [{"resolution_minutes": 30}]}, "targets[0].first_response_minutes"),
        ("links_and_cache", {"allowed_hosts": ["https://example.com/"]}, "allowed_hosts[0]"),
    ],
)
def test_what_makes_no_sense_together_is_told_where_it_is(name: str, value: dict[str, Any], field: str) -> None:
    assert [error["field"] for error in told(name, value)] == [field]
    with override("zh-hans"):
        assert all(CHINESE.search(error["message"]) for error in told(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service_levels", {"hours": [{"day": 1, "start": "00:00", "end": "00:00"}, {"day": 2, "start": "22:00", "end": "00:00"}]}),
        ("service_levels", {"hours": [*OVERLAP[:2], {"day": 1, "start": "12:00", "end": "18:00"}], "holidays": ["2028-02-29"]}),
        ("assignment", {"rules": [{"name": "a", "skill_group": "b", "vip": "vip"}, {"name": "c", "skill_group": "c"}], "offer_seconds": 0}),
        ("alarms", {"rules": [{"receivers": ["ada 5"]}], "receivers": [{"name": "ada", "address": "ada@example.com"}], "quiet_start": ""}),
        ("links_and_cache", {"allowed_hosts": ["www.example.com", "*.example.com"]}),
        ("flow_rules", {"rules": [{"exceptions": [{"value": "shop"}]}]}),
        ("delivery_rules", {"quiet_hours": [{"start": "00:00", "end": "00:00", "channels": ["sms"]}], "frequency": [{"channel": ""}]}),
    ],
)
def test_what_makes_sense_is_taken(name: str, value: dict[str, Any]) -> None:
    assert told(name, value) == []


@pytest.mark.django_db
def test_over_the_api_all_that_is_wrong_is_one_problem_in_the_callers_language_and_nothing_is_stored() -> None:
    api = make_api(make_tenant("Ops", is_operator=True))
    wrong = {"rules": [{"name": "A", "per_second": "Infinity"}, {"at_once": -1, "behaviour": "explode"}], "system": 5, "colour": "red"}
    fields = ["rules[0].name", "rules[0].per_second", "rules[1].at_once", "rules[1].behaviour", "system", "colour"]
    path = "/api/config/modules/flow_rules/"
    for verb in ("validate/", "publish/", "gray/"):
        body = {"content": wrong} | ({"percent": 5} if verb == "gray/" else {})
        answer = api.request("POST", f"{path}{verb}", body, headers={"Accept-Language": "zh-Hans"})
        assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
        assert fields_of(answer) == fields
        assert all(CHINESE.search(error["message"]) for error in json_of(answer)["errors"])
    for no_json in (b'{"content": {"rules": NaN}}', b'{"content": {"rules": 1e999}}', b'{"content": {"rules": -Infinity}}'):
        assert api.post(f"{path}publish/", no_json).status_code == 400
    contents: list[Any] = [[], "text", 5, {"rules": "\u0000"}]
    for content in contents:
        assert api.post(f"{path}publish/", {"content": content}).status_code in (400, 422)
    assert ConfigRelease.objects.count() == 0
    assert not ConfigItem.objects.filter(draft__isnull=False).exists()
