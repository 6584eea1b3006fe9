import orjson
import pytest
from rest_framework import serializers

from posthaste.lib import problems
from posthaste.lib.json_syntax import refuse_nul
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import Invalid, Malformed, Problem


class RowIn(serializers.Serializer[dict[str, str]]):
    name = serializers.CharField()


class BodyIn(serializers.Serializer[dict[str, str]]):
    name = serializers.CharField(max_length=3)
    rows = RowIn(many=True)
    numbers = serializers.ListField(child=serializers.IntegerField(), required=False)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        if attrs["name"] == "bad":
            raise serializers.ValidationError("Together they make no sense.", code="together")
        return attrs


def errors_of(body: object) -> list[tuple[str, str]]:
    serializer = BodyIn(data=body)
    try:
        serializer.is_valid(raise_exception=True)
    except serializers.ValidationError as error:
        problem = from_exception(error)
        assert isinstance(problem, Invalid)
        return [(entry["field"], entry["code"]) for entry in problem.errors]
    return []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"name": "ok", "rows": []}, []),
        ({}, [("name", "required"), ("rows", "required")]),
        ({"name": "long", "rows": []}, [("name", "max_length")]),
        ({"name": "ok", "rows": [{"name": "a"}, {}, {"name": ""}]}, [("rows[1].name", "required"), ("rows[2].name", "blank")]),
        ({"name": "ok", "rows": [5]}, [("rows[0]", "invalid")]),
        ({"name": "ok", "rows": 5}, [("rows", "not_a_list")]),
        ({"name": "ok", "rows": [], "numbers": [1, "x", 3]}, [("numbers[1]", "invalid")]),
        ({"name": "bad", "rows": []}, [("", "together")]),
        ([], [("", "invalid")]),
    ],
)
def test_each_wrong_field_has_a_path_one_can_follow(body: object, errors: list[tuple[str, str]]) -> None:
    assert errors_of(body) == errors


def test_a_problem_is_its_document() -> None:
    problem = problems.Conflict("Too late.", current_status="sent")
    assert orjson.loads(problem.as_response().content) == {
        "type": "/docs/errors#conflict",
        "title": "This conflicts with the current state",
        "status": 409,
        "code": "conflict",
        "detail": "Too late.",
        "current_status": "sent",
    }


def test_headers_of_a_problem_reach_the_response() -> None:
    assert problems.TooMany("Slow down.", retry_after_seconds=9).as_response()["Retry-After"] == "9"
    assert Problem("x", headers={"X-Reason": "y"}).as_response()["X-Reason"] == "y"


def test_an_error_of_ours_stays_one() -> None:
    assert from_exception(ZeroDivisionError()) is None


def is_refused(body: bytes) -> bool:
    try:
        refuse_nul(body)
    except Malformed:
        return True
    return False


@pytest.mark.parametrize("body", [b'"\\u0000"', b'"a\\u0000b"', b'"\\\\\\u0000"', b'"\x00"', b'{"\\u0000": 1}', b'"\\\\\\\\\\u0000"'])
def test_a_nul_is_found_however_it_is_written(body: bytes) -> None:
    assert is_refused(body)


@pytest.mark.parametrize("body", [b'"\\\\u0000"', b'"a\\\\u0000b"', b'"\\\\\\\\u0000"', b'"u0000"', b'"\\u00001"'[:4] + b'1"'])
def test_the_text_backslash_u0000_is_no_nul(body: bytes) -> None:
    assert not is_refused(body)
