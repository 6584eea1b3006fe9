import json
import logging
import logging.config
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from accounts.services.api_keys import FORM
from posthaste.lib import logs
from posthaste.lib.ids import new_id
from posthaste.lib.logs import scrub

KEY = "ph_live_ABCDEFGH_" + "x" * 43
HIDDEN = "••••"


def test_the_key_used_here_has_the_form_of_a_key() -> None:
    assert FORM.fullmatch(KEY)


@pytest.mark.parametrize(
    "name",
    ["password", "secret", "api_key", "apikey", "API_KEY", "receipt_secret", "Authorization", "access_token", "cookie", "credentials"],
)
def test_secrets_are_blanked_by_their_name(name: str) -> None:
    assert scrub(None, "info", {"event": "x", name: "s3cret"})[name] == HIDDEN


@pytest.mark.parametrize("name", ["recipient", "email", "phone", "body", "subject", "variables"])
def test_personal_data_is_blanked_by_its_name(name: str) -> None:
    assert scrub(None, "info", {"event": "x", name: {"code": 1}})[name] == HIDDEN


@pytest.mark.parametrize("text", [KEY, f"Bearer {KEY}", f"GET /api/?key={KEY}&x=1", f'{{"Authorization": "Bearer {KEY}"}}', f"{KEY} {KEY}"])
def test_an_api_key_is_blanked_wherever_it_stands(text: str) -> None:
    event = scrub(None, "info", {"event": text, "url": text})
    for value in event.values():
        assert "x" * 16 not in value
        assert "ph_live_ABCDEFGH_" in value, "the prefix stays, so that one finds the key"


@pytest.mark.parametrize("value", [[KEY], {"header": KEY}, {"deep": [{"header": f"Bearer {KEY}"}]}, (KEY, 1)])
def test_an_api_key_is_blanked_inside_other_values_too(value: Any) -> None:
    assert "x" * 16 not in str(scrub(None, "info", {"event": "x", "detail": value})["detail"])


@pytest.mark.parametrize("value", [{"password": "s3cret"}, {"config": {"token": "s3cret"}}, [{"recipient": "s3cret"}]])
def test_secrets_inside_other_values_are_blanked_by_their_name(value: Any) -> None:
    assert "s3cret" not in str(scrub(None, "info", {"event": "x", "detail": value})["detail"])


def test_other_values_stay_as_they_are() -> None:
    event = {"event": "sent", "count": 5, "ids": [1, 2], "none": None, "nested": {"a": [True, 1.5]}}
    assert scrub(None, "info", dict(event)) == event


@pytest.fixture
def written() -> Iterator[StringIO]:
    """Collect in memory what is logged, configured as in production."""
    before = structlog.get_config()
    config = logs.configure(log_format="json", level="info")
    stream = StringIO()
    config["handlers"]["stderr"]["stream"] = stream
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    config["loggers"] = {}
    logging.config.dictConfig(config)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_and_logger(written: StringIO) -> None:
    structlog.get_logger("messaging.test").info("message sent", count=3)
    (line,) = lines(written)
    assert (line["event"], line["level"], line["logger"], line["count"]) == ("message sent", "info", "messaging.test", 3)
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form_and_are_scrubbed(written: StringIO) -> None:
    logging.getLogger("some.library").warning("request with %s failed", f"Bearer {KEY}")
    (line,) = lines(written)
    assert line["logger"] == "some.library"
    assert "x" * 16 not in line["event"]


def test_what_is_put_into_a_line_by_position_is_scrubbed(written: StringIO) -> None:
    structlog.get_logger("messaging.test").info("called with %s", KEY)
    (line,) = lines(written)
    assert line["event"] == "called with ph_live_ABCDEFGH_••••"


def test_an_exceptions_text_is_scrubbed_too(written: StringIO) -> None:
    try:
        raise ValueError(f"bad header Bearer {KEY}")
    except ValueError:
        structlog.get_logger("messaging.test").exception("failed")
        logging.getLogger("library").exception("failed")
    assert len(lines(written)) == 2
    assert "x" * 16 not in written.getvalue()


def test_what_is_less_severe_than_asked_for_is_not_written(written: StringIO) -> None:
    logging.getLogger("x").debug("too fine")
    structlog.get_logger("x").debug("too fine")
    assert lines(written) == []


# --- recipients in texts of others ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 5.1.1 <ada.lovelace@example.com>: Recipient address rejected", "550 5.1.1 <••••@example.com>: Recipient address rejected"),
        ("DETAIL: Key (recipient)=(+8613812345678) already exists.", "DETAIL: Key (recipient)=(••••) already exists."),
        ("called 13812345678 twice", "called •••• twice"),
        ("ada+orders@mail.example.co.uk bounced", "••••@mail.example.co.uk bounced"),
    ],
)
def test_a_recipient_in_a_text_is_blanked_and_the_text_stays_of_use(text: str, shown: str) -> None:
    assert scrub(None, "info", {"event": "refused", "reply": text})["reply"] == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("called https://hooks.example.com/services/T0/B0/abcdef?key=1", "called https://hooks.example.com/••••"),
        ("https://ada:s3cret@api.example.com:8443/send refused", "https://api.example.com:8443/•••• refused"),
        ("could not reach 'https://api.example.com'", "could not reach 'https://api.example.com'"),
        ("listens at http://127.0.0.1:8000/", "listens at http://127.0.0.1:8000/"),
        ("bad URL wecombot://0a1b2c3d-key", "bad URL wecombot://••••"),
        ("amqp://posthaste:pa/ss@rabbitmq:5672/posthaste is away", "amqp://rabbitmq:5672/•••• is away"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "signed with whsec_••••"),
        ("header Authorization: Bearer abcdef0123456789abcdef", "header Authorization: Bearer ••••"),
        ("header Authorization: Basic c2hvcDpzM2NyZXQx", "header Authorization: Basic ••••"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl expired", "token eyJ•••• expired"),
        ("Not Found: /u/eyJhIjoxfQ:1abcde:signature-of-it/", "Not Found: /u/••••/"),
        ("DETAIL:  Failing row contains (0192, device-token, null).", "DETAIL:  Failing row contains (••••"),
        ('CONTEXT:  COPY messaging_message, line 1, column body: "x"', "CONTEXT:  COPY messaging_message, line 1, column body:••••"),
    ],
)
def test_secrets_are_blanked_by_their_form_and_the_text_stays_of_use(text: str, shown: str) -> None:
    assert scrub(None, "info", {"event": text})["event"] == shown


@pytest.mark.parametrize(
    "text",
    [
        "basic configuration of the bearer",
        "bearer authentication required",
        "0192f0c1a2b37c4d8e9f001122334455",
        "0192f0c1-a2b3-7c4d-8e9f-13812345678a",
        "2026-11-29T11:00:00+0800",
        "1764414000123 ms",
        "send@host",
        "10.0.0.1:6390",
    ],
)
def test_ids_times_and_addresses_of_machines_stay(text: str) -> None:
    assert scrub(None, "info", {"event": text})["event"] == text


# --- the messages that a line concerns ------------------------------------------------------------------------


def test_a_line_about_a_message_has_its_trace_id_also_one_of_a_library(written: StringIO) -> None:
    message = new_id()
    with logs.about([message]):
        structlog.get_logger("messaging.test").warning("mail server refuses us")
        logging.getLogger("some.library").warning("connection lost")
    structlog.get_logger("messaging.test").warning("pool scaled")
    assert [line.get("trace_id") for line in lines(written)] == [message.hex, message.hex, None]


def test_a_line_about_several_names_the_first_ones_and_how_many_there_are(written: StringIO) -> None:
    messages = [new_id() for _ in range(25)]
    with logs.about(messages):
        structlog.get_logger("messaging.test").warning("delivery failed")
        with logs.about(messages[:1]):
            structlog.get_logger("messaging.test").warning("adapter failed")
        structlog.get_logger("messaging.test").warning("one of them", trace_id=messages[3].hex)
    together, one, named = lines(written)
    assert together["trace_ids"] == [message.hex for message in messages[:10]]
    assert together["messages"] == 25
    assert one["trace_id"] == messages[0].hex
    assert (named["trace_id"], "trace_ids" in named) == (messages[3].hex, False)


def test_a_recipient_without_a_form_is_blanked_in_the_lines_about_its_message(written: StringIO) -> None:
    token, user = "dGhpcyBpcyBh+device/token=", "zhangsan"
    with logs.about([new_id()], recipients=[token]):
        with logs.about([new_id()], recipients=[user]):
            structlog.get_logger("messaging.test").warning("refused", reply=f"no device {token} at /to/dGhpcyBpcyBh%2Bdevice%2Ftoken%3D")
            try:
                raise ValueError(f"{user}: unknown, unlike {user}2")
            except ValueError:
                logging.getLogger("library").exception("failed")
        structlog.get_logger("messaging.test").warning(f"no device {token}")
    structlog.get_logger("messaging.test").warning("zhangsan signed in")
    said = written.getvalue()
    assert "dGhpcyBpcyBh" not in said
    assert said.count(user) == 2, "another user, and a line that is about no message"


def test_a_recipient_of_a_few_letters_leaves_words_whole(written: StringIO) -> None:
    with logs.about([new_id()], recipients=["us", ""]):
        structlog.get_logger("messaging.test").warning("mail server refuses us")
    assert lines(written)[0]["event"] == "mail server refuses us"
