"""The one pattern of lists: cursor pages, the way back, and the export."""

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from messaging.models import Message, Status
from posthaste.lib.ids import new_id
from posthaste.ui.export import harmless, plain
from posthaste.ui.templatetags.interface import ago, badge, language_name, two_lines
from tests.builders import make_batch, make_message, make_tenant

pytestmark = pytest.mark.django_db
LIST = "admin:messaging_message_changelist"


def member(tenant: Tenant, role: str = Role.OPERATOR) -> Client:
    user = User.objects.create(username=f"{role} of {tenant.slug}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def ids(answer: Any) -> list[Any]:
    return [row.pk for row in answer.context["cl"].result_list]


def test_a_list_of_messages_has_cursor_pages_that_new_rows_do_not_move() -> None:
    tenant = make_tenant()
    client = member(tenant)
    rows = sorted((make_message(tenant).pk for _row in range(120)), reverse=True)
    first = client.get(reverse(LIST), {"channel__exact": "sms"})
    assert ids(first) == rows[:50]
    assert first.context["cl"].newer == ""
    make_message(tenant)  # arrives meanwhile
    second = client.get(reverse(LIST) + first.context["cl"].older)
    assert ids(second) == rows[50:100]
    assert "channel__exact=sms" in first.context["cl"].older
    third = client.get(reverse(LIST) + second.context["cl"].older)
    assert ids(third) == rows[100:]
    assert third.context["cl"].older == ""
    assert ids(client.get(reverse(LIST) + third.context["cl"].newer)) == rows[50:100]


@pytest.mark.parametrize("cursor", ["nonsense", "4711", "\0", "00000000-0000-0000-0000-000000000000" * 9])
def test_a_cursor_that_is_none_shows_the_first_page(cursor: str) -> None:
    tenant = make_tenant()
    rows = [make_message(tenant).pk]
    assert ids(member(tenant).get(reverse(LIST), {"after": cursor})) == rows


def test_a_filter_begins_at_the_first_page_again() -> None:
    tenant = make_tenant()
    client = member(tenant)
    for _row in range(60):
        make_message(tenant)
    second = client.get(reverse(LIST) + client.get(reverse(LIST)).context["cl"].older)
    shown = second.content.decode()
    chips = shown[shown.index('id="list-filters"') : shown.index('id="changelist-form"')]
    assert "after=" not in chips.partition('class="tool export"')[0]


def test_the_way_back_keeps_the_filter() -> None:
    tenant = make_tenant()
    client = member(tenant)
    row = make_message(tenant, status=Status.FAILED)
    listing = client.get(reverse(LIST), {"state": "dead"}).content.decode()
    opened = reverse("admin:messaging_message_change", args=[row.pk])
    assert f"{opened}?_changelist_filters=state%3Ddead" in listing
    page = client.get(opened, {"_changelist_filters": "state=dead"}).content.decode()
    assert f'href="{reverse(LIST)}?state=dead"' in page


def exported(client: Client, **query: str) -> list[list[str]]:
    answer = client.get(reverse("admin:messaging_message_export"), query)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("\ufeff")
    return list(csv.reader(text.removeprefix("\ufeff").splitlines()))


def test_an_export_has_the_rows_of_the_list_masked_and_of_the_own_tenant_alone() -> None:
    tenant, other = make_tenant("Own"), make_tenant("Other")
    row = make_message(tenant, status=Status.FAILED, error_code="http_503", recipient="+8613812345678", latency_ms=12_345, reference="A-1")
    make_message(tenant, status=Status.SENT)
    make_message(other, status=Status.FAILED, error_code="theirs")
    heads, *rows = exported(member(tenant), state="dead")
    assert len(rows) == 1
    found = dict(zip(heads, rows[0], strict=True))
    assert (found["ID"], found["Tenant"], found["Reference"], found["Error"]) == (str(row.pk), "Own", "A-1", "http_503")
    assert (found["Latency (ms)"], found["Accepted at"]) == ("12345", row.created_at.isoformat())
    assert "13812345678" not in "".join(rows[0])
    assert "****" in found["Recipient"]


def test_an_export_of_batches_has_whole_ids_and_plain_numbers() -> None:
    tenant = make_tenant("Own")
    batch = make_batch(tenant)
    type(batch).objects.update(name="Spring", accepted=12_345, rejected=2)
    answer = member(tenant).get(reverse("admin:messaging_batch_export"))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    heads, row = csv.reader(text.removeprefix("\ufeff").splitlines())
    found = dict(zip(heads, row, strict=True))
    assert (found["ID"], found["Name"], found["Accepted"], found["Rejected"]) == (str(batch.pk), "Spring", "12345", "2")


def test_an_export_is_noted_in_the_audit_trail_without_what_was_searched_for() -> None:
    tenant = make_tenant()
    exported(member(tenant), q="+8613812345678")
    entry = AuditEntry.objects.get(action="list.export")
    assert entry.target == "messaging.message"
    assert "138" not in str(entry.detail)


def test_an_export_goes_on_beyond_one_chunk() -> None:
    tenant, now = make_tenant(), timezone.now()
    rows = [
        Message(id=new_id(), tenant=tenant, channel="sms", recipient="+8613812345678", created_at=now, due_at=now + timedelta(days=1))
        for _row in range(1_203)
    ]
    Message.objects.bulk_create(rows)
    assert len(exported(member(tenant))) == 1_204


def test_a_viewer_of_nothing_exports_nothing() -> None:
    client = Client()
    client.force_login(User.objects.create(username="nobody", is_staff=True))
    assert client.get(reverse("admin:messaging_message_export")).status_code == 403


@pytest.mark.parametrize("text", ["=1+1", "+44", "-2", "@SUM(A1)", "\tx", "\rx", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless(f"a{text}") == f"a{text}"


def test_a_cell_is_written_as_text() -> None:
    now = timezone.now()
    assert plain(badge(Status.SENT)) == "Sent"
    assert plain(two_lines("Ada", "a & b")) == "Ada a & b"
    assert plain(ago(now))[:10] == f"{timezone.localtime(now):%Y-%m-%d}"
    assert (plain(None), plain("–"), plain(7)) == ("", "", "7")
    assert plain("<b>typed</b>") == "<b>typed</b>"  # a text of the caller's is no markup


def test_figures_stand_at_the_right() -> None:
    tenant = make_tenant()
    client = Client()
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    shown = client.get(reverse("admin:accounts_tenant_changelist")).content.decode()
    assert 'class="num field-weight"' in shown
    assert tenant.name in shown


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("zh", "Chinese (zh)", "中文"),
        ("zh-Hans", "Simplified Chinese (zh-Hans)", "简体中文"),
        ("en", "English (en)", "英语"),
        ("fr-CA", "French (fr-CA)", "法语"),
        ("und", "und", "und"),
        ("", "", ""),
    ],
)
def test_a_language_has_its_name_in_the_readers_language_and_its_code(code: str, english: str, chinese: str) -> None:
    assert language_name(code) == english
    with translation.override("zh-hans"):
        assert language_name(code).startswith(chinese)
        assert code in language_name(code)
