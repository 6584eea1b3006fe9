"""Templates: drafts, versions, what may be in them, and which version a message uses."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from accounts.models import AuditEntry, Tenant
from messaging.content import templates
from messaging.models import Message, Template, TemplateVersion
from tests.builders import RECIPIENTS, Api, fields_of, json_of, make_api, make_message, make_template, make_tenant, published

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
URL = "/api/templates/"
CODE = {"name": "code", "channel": "sms", "body": "Your code is {{ code }}.", "variables": [{"name": "code", "example": "1234"}]}
LETTER = {
    "name": "letter",
    "channel": "email",
    "subject": "Hello {{ name }}",
    "html": "<p>Dear {{ name }},</p><p>thank you.</p>",
    "variables": [{"name": "name", "example": "Ada"}],
}


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def sms(**variables: Any) -> dict[str, Any]:
    return {"channel": "sms", "recipient": RECIPIENTS["sms"], "template": "code", "variables": variables}


def accepted(api: Api, body: Any) -> Message:
    answer = api.post("/api/messages/", body)
    assert answer.status_code == 202, answer.content
    return Message.objects.get(pk=json_of(answer)["id"])


# --- drafts and versions ---------------------------------------------------------------------------------------------


def test_a_new_template_has_a_first_draft_and_nothing_published(api: Api) -> None:
    answer = api.post(URL, CODE)
    assert answer.status_code == 201
    shown = json_of(answer)
    assert (shown["name"], shown["channel"], shown["draft"], shown["published"], shown["is_archived"]) == ("code", "sms", 1, None, False)
    assert fields_of(api.post("/api/messages/", sms(code="1"))) == ["template"]


def test_a_new_template_can_be_published_at_once(api: Api) -> None:
    assert json_of(api.post(URL, CODE | {"publish": True}))["published"] == 1
    assert accepted(api, sms(code="1")).template_version is not None


def test_the_life_of_a_template(api: Api) -> None:
    api.post(URL, CODE)
    assert json_of(api.post(f"{URL}code/publish/"))["state"] == "published"
    second = json_of(api.put(f"{URL}code/draft/", {"body": "New: {{ code }}", "variables": [{"name": "code"}]}))
    assert (second["number"], second["state"]) == (2, "draft")
    third = json_of(api.put(f"{URL}code/draft/", {"body": "Newer: {{ code }}", "variables": [{"name": "code"}]}))
    assert third["number"] == 2, "a draft is edited, not multiplied"
    shown = json_of(api.get(f"{URL}code/"))
    assert (shown["draft"], shown["published"]) == (2, 1)
    api.post(f"{URL}code/publish/")
    versions = json_of(api.get(f"{URL}code/versions/"))
    assert [(v["number"], v["state"], v["body"]) for v in versions] == [
        (2, "published", "Newer: {{ code }}"),
        (1, "retired", "Your code is {{ code }}."),
    ]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "template.create", "template.publish", "template.draft", "template.draft", "template.publish",
    ]  # fmt: skip


def test_publishing_without_a_draft_is_a_conflict(api: Api) -> None:
    api.post(URL, CODE | {"publish": True})
    assert api.post(f"{URL}code/publish/").status_code == 409


def test_a_published_version_is_never_changed_by_editing(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, name="code")
    version = published(template)
    before = TemplateVersion.objects.filter(pk=version.pk).values().get()
    api.put(f"{URL}code/draft/", {"body": "Something else"})
    assert TemplateVersion.objects.filter(pk=version.pk).values().get() == before
    api.post(f"{URL}code/publish/")
    after = TemplateVersion.objects.filter(pk=version.pk).values().get()
    assert after == before | {"state": "retired"}


def test_a_message_keeps_the_version_that_was_published_when_it_was_accepted(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, name="code", body="First {{ code }}")
    first = accepted(api, sms(code="1"))
    api.put(f"{URL}code/draft/", {"body": "Second {{ code }}", "variables": [{"name": "code"}]})
    still_first = accepted(api, sms(code="1"))
    api.post(f"{URL}code/publish/")
    templates.template_cache.forget()  # another process would notice within two seconds
    second = accepted(api, sms(code="1"))
    numbers = [Message.objects.get(pk=m.pk).template_version.number for m in (first, still_first, second)]  # type: ignore[union-attr]
    assert numbers == [1, 1, 2]
    texts = [templates.wording(m.template_version_id).render(m.variables).body for m in (first, second) if m.template_version_id]
    assert texts == ["First 1", "Second 1"]
    assert template.versions.count() == 2


def test_only_one_draft_and_one_published_version_can_be_stored(tenant: Tenant) -> None:
    template = make_template(tenant)
    for state in ("draft", "published"):
        TemplateVersion.objects.filter(template=template, state=state).delete()
        TemplateVersion.objects.create(template=template, number=8, state=state)
        with pytest.raises(IntegrityError), transaction.atomic():
            TemplateVersion.objects.create(template=template, number=9, state=state)
        TemplateVersion.objects.filter(template=template, number=8).delete()


def test_an_archived_template_takes_no_new_messages_and_keeps_its_old_ones(api: Api, tenant: Tenant) -> None:
    template = make_template(tenant, name="code")
    message = accepted(api, sms(code="1"))
    assert json_of(api.patch(f"{URL}code/", {"is_archived": True}))["is_archived"] is True
    assert fields_of(api.post("/api/messages/", sms(code="1"))) == ["template"]
    assert templates.wording(message.template_version_id or 0).render({"code": "1"}).body == "Your code is 1."
    api.patch(f"{URL}code/", {"is_archived": False})
    assert accepted(api, sms(code="1")).template_version == published(template)


def test_archived_templates_are_found_by_filter(api: Api, tenant: Tenant) -> None:
    make_template(tenant, name="old")
    make_template(tenant, name="letter", channel="email")
    api.patch(f"{URL}old/", {"is_archived": True})
    assert [row["name"] for row in json_of(api.get(URL, is_archived="true"))["results"]] == ["old"]
    assert [row["name"] for row in json_of(api.get(URL, channel="email"))["results"]] == ["letter"]


def test_a_template_that_messages_use_cannot_vanish(tenant: Tenant) -> None:
    template = make_template(tenant)
    make_message(tenant, template_version=published(template), body="")
    with pytest.raises(ProtectedError):
        template.delete()


# --- what may be in one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "with blank"}, ["name"]),
        ({"name": "x" * 81}, ["name"]),
        ({"channel": "pigeon"}, ["channel"]),
        ({"body": ""}, ["body"]),
        ({"body": "x" * 200_001}, ["body"]),
        ({"body": 5.5, "variables": "x"}, ["body", "variables"]),
        ({"body": "{{ code "}, ["body"]),
        ({"body": "{% if code %}"}, ["body"]),
        ({"body": "{{ code | shout }}"}, ["body"]),
        ({"body": "{% include 'other' %}{{ code }}"}, ["body"]),
        ({"body": "{{ code }} {{ name }}"}, ["body"]),
        ({"html": "<p>Hi</p>"}, ["html"]),
        ({"variables": [{"name": "not a name"}, {"name": "code"}]}, ["variables[0].name"]),
        ({"variables": [{"name": "code"}, {}]}, ["variables[1].name"]),
        ({"variables": [{"name": "code", "required": "perhaps"}]}, ["variables[0].required"]),
        ({"variables": [{"name": "code", "default": "x"}]}, ["variables[0].default"]),
        ({"variables": [{"name": "code"}, {"name": "code"}]}, ["variables[1].name"]),
        ({"text": "x"}, ["text"]),
        ({"text": "x", "channel": "pigeon"}, ["channel", "text"]),
    ],
)
def test_a_mistake_is_named_and_nothing_is_stored(changed: dict[str, Any], fields: list[str], api: Api) -> None:
    assert fields_of(api.post(URL, CODE | changed)) == fields
    assert Template.objects.count() == 0


@pytest.mark.parametrize("changed", [{"body": "a\0b"}, {"name": "a\0b"}, {"variables": [{"name": "code", "example": {"deep": ["a\0b"]}}]}])
def test_what_no_database_can_store_is_refused(changed: dict[str, Any], api: Api) -> None:
    answer = api.post(URL, CODE | changed)
    assert (answer.status_code, json_of(answer)["code"]) == (400, "malformed")
    assert Template.objects.count() == 0


def test_an_email_needs_a_subject(api: Api) -> None:
    assert fields_of(api.post(URL, LETTER | {"subject": ""})) == ["subject"]


def test_a_name_is_given_once(api: Api) -> None:
    api.post(URL, CODE)
    assert fields_of(api.post(URL, CODE)) == ["name"]


def test_an_undeclared_variable_is_refused_with_its_name_in_every_part(api: Api) -> None:
    answer = api.post(URL, LETTER | {"subject": "{{ a }}", "body": "{{ b }}", "html": "<p>{{ c }}</p>"})
    found = {error["field"]: error for error in json_of(answer)["errors"]}
    assert set(found) == {"subject", "body", "html"}
    assert all(error["code"] == "undeclared" for error in found.values())
    assert "{{ a }}" in found["subject"]["message"]


def test_a_draft_with_a_mistake_leaves_the_draft_before_it(api: Api) -> None:
    api.post(URL, CODE)
    assert fields_of(api.put(f"{URL}code/draft/", {"body": "{{ name }}"})) == ["body"]
    assert json_of(api.get(f"{URL}code/versions/"))[0]["body"] == CODE["body"]


def test_a_draft_that_cannot_be_rendered_with_its_own_examples_is_not_published(api: Api) -> None:
    api.post(URL, CODE | {"body": "{{ code | divided_by: 0 }}", "variables": [{"name": "code", "example": 5}]})
    assert api.post(f"{URL}code/publish/").status_code == 422
    assert json_of(api.get(f"{URL}code/"))["published"] is None


@pytest.mark.parametrize(
    "body", ["{% for i in (1..99999999) %}x{% endfor %}", "{% for a in (1..900) %}{% for b in (1..900) %}x{% endfor %}{% endfor %}"]
)
def test_a_template_cannot_keep_a_worker_busy(body: str, api: Api) -> None:
    api.post(URL, CODE | {"body": body, "variables": []})
    assert api.post(f"{URL}code/publish/").status_code == 422


@pytest.mark.parametrize("body", ["{{ code.__class__ }}", "{{ code.__class__.__mro__[1].__subclasses__ }}", "{{ __import__ }}"])
def test_a_template_cannot_reach_python(body: str, api: Api, tenant: Tenant) -> None:
    api.post(URL, CODE | {"body": body})
    answer = api.post(f"{URL}code/preview/")
    assert answer.status_code in (404, 422)


# --- preview ------------------------------------------------------------------------------------------------------------


def test_a_preview_uses_the_examples_and_counts_segments(api: Api) -> None:
    api.post(URL, CODE)
    assert json_of(api.post(f"{URL}code/preview/")) == {
        "subject": "", "body": "Your code is 1234.", "html": "", "sms": {"encoding": "GSM-7", "units": 18, "segments": 1},
    }  # fmt: skip


def test_a_preview_takes_other_values(api: Api) -> None:
    api.post(URL, CODE)
    shown = json_of(api.post(f"{URL}code/preview/", {"variables": {"code": "你" * 71}}))
    assert shown["sms"]["segments"] == 2
    assert shown["sms"]["encoding"] == "UCS-2"


def test_a_preview_shows_the_draft_before_the_published_version_and_any_version_by_number(api: Api) -> None:
    api.post(URL, CODE | {"publish": True})
    assert json_of(api.post(f"{URL}code/preview/"))["body"] == "Your code is 1234."
    api.put(f"{URL}code/draft/", {"body": "Draft"})
    assert json_of(api.post(f"{URL}code/preview/"))["body"] == "Draft"
    assert json_of(api.post(f"{URL}code/preview/", {"version": 1}))["body"] == "Your code is 1234."
    assert api.post(f"{URL}code/preview/", {"version": 3}).status_code == 404
    assert api.post(f"{URL}code/preview/", {"version": 10**18}).status_code == 404


def test_a_variable_without_an_example_shows_its_name(api: Api) -> None:
    api.post(URL, CODE | {"variables": [{"name": "code"}]})
    assert json_of(api.post(f"{URL}code/preview/"))["body"] == "Your code is code."


def test_other_channels_have_no_segments(api: Api) -> None:
    api.post(URL, LETTER)
    assert "sms" not in json_of(api.post(f"{URL}letter/preview/"))


# --- e-mail -------------------------------------------------------------------------------------------------------------


def preview(api: Api, html: str, **variables: Any) -> Any:
    api.post(URL, LETTER | {"html": html})
    answer = api.post(f"{URL}letter/preview/", {"variables": variables})
    assert answer.status_code == 200, answer.content
    return json_of(answer)


def test_an_html_letter_gets_a_text_of_its_own(api: Api) -> None:
    shown = preview(api, LETTER["html"])  # type: ignore[arg-type]
    assert shown["subject"] == "Hello Ada"
    assert "Dear Ada," in shown["body"]
    assert "<" not in shown["body"]


def test_a_written_text_goes_before_the_one_made_from_html(api: Api) -> None:
    api.post(URL, LETTER | {"body": "Plainly, {{ name }}"})
    assert json_of(api.post(f"{URL}letter/preview/"))["body"] == "Plainly, Ada"


@pytest.mark.parametrize(
    ("html", "gone"),
    [
        ("<p>Hi {{ name }}</p><script>alert(1)</script>", "alert"),
        ("<p onclick='alert(1)'>Hi {{ name }}</p>", "alert"),
        ("<a href='javascript:alert(1)'>Hi {{ name }}</a>", "javascript"),
        ("<img src=x onerror=alert(1)>{{ name }}", "onerror"),
        ("<iframe src='https://example.com'></iframe>{{ name }}", "iframe"),
        ("<style>p { background: url(https://example.com) }</style>{{ name }}", "background"),
        ("<object data='x'></object><form action='x'>{{ name }}</form>", "<form"),
    ],
)
def test_html_is_sanitised(html: str, gone: str, api: Api) -> None:
    shown = preview(api, html)
    assert gone not in shown["html"].lower()
    assert "Ada" in shown["html"]


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><b>bold</b>', "<b>bold</b>"])
def test_a_variable_cannot_bring_markup_into_html(value: str, api: Api) -> None:
    shown = preview(api, "<p>Hi {{ name }}</p>", name=value)
    assert "<b>" not in shown["html"]
    assert "<script" not in shown["html"]
    assert "<img" not in shown["html"]


def test_good_html_stays(api: Api) -> None:
    shown = preview(
        api, '<h1>Hi {{ name }}</h1><p><a href="https://example.com/track">Track</a> <strong>now</strong></p><ul><li>one</li></ul>'
    )
    for part in ("<h1>Hi Ada</h1>", 'href="https://example.com/track"', "<strong>now</strong>", "<li>one</li>"):
        assert part in shown["html"]


def test_a_line_break_in_a_variable_cannot_end_the_subject(api: Api) -> None:
    api.post(URL, LETTER)
    shown = json_of(api.post(f"{URL}letter/preview/", {"variables": {"name": "Ada\r\nBcc: all@example.com"}}))
    assert shown["subject"] == "Hello Ada Bcc: all@example.com"


@pytest.mark.parametrize("control", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x7f", "\x85", "\u2028", "\u2029"])
def test_another_control_character_in_a_subject_is_refused(api: Api, control: str) -> None:
    api.post(URL, LETTER)
    value = f"Ada{control}Reply-To : evil@example.net"
    answer = api.post(f"{URL}letter/preview/", {"variables": {"name": value}})
    assert fields_of(answer) == ["variables"]
    assert f"U+{ord(control):04X}" in json_of(answer)["errors"][0]["message"]
    assert fields_of(api.post(URL, LETTER | {"name": "another", "subject": f"Hello{control}X-Foo: y"})) == ["subject"]


@pytest.mark.parametrize("verb", ["get", "patch", "put-draft", "publish", "versions", "preview"])
def test_a_template_that_is_not_there_is_not_found(verb: str, api: Api) -> None:
    calls = {
        "get": lambda: api.get(f"{URL}none/"),
        "patch": lambda: api.patch(f"{URL}none/", {}),
        "put-draft": lambda: api.put(f"{URL}none/draft/", CODE),
        "publish": lambda: api.post(f"{URL}none/publish/"),
        "versions": lambda: api.get(f"{URL}none/versions/"),
        "preview": lambda: api.post(f"{URL}none/preview/"),
    }
    assert calls[verb]().status_code == 404
