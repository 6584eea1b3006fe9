"""The FAQ and the bot's turns in the admin."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant, User
from routing.faq import csv_files
from routing.models import BotTurn, FaqEntry, FaqState
from tests.routing.bot.builders import make_entry, make_with_bot

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def written(tenant: Tenant, **fields: Any) -> dict[str, Any]:
    """Return what the form sends."""
    return {"tenant": tenant.pk, "language": "en", "question": "Where is my parcel?", "answer": "In **My orders**.", **fields}


def test_an_entry_is_written_with_phrasings_by_line_previewed_and_published(staff: Client, tenant: Tenant) -> None:
    sent = written(tenant, phrasings="parcel where\r\n\r\ntrack it", is_for_bot="on")
    assert staff.post(reverse("admin:routing_faqentry_add"), sent).status_code == 302
    entry = FaqEntry.objects.get()
    assert (entry.phrasings, entry.slug, entry.is_for_bot) == (["parcel where", "track it"], "where-is-my-parcel", True)
    here = reverse("admin:routing_faqentry_change", args=[entry.pk])
    page = staff.get(here).content.decode()
    assert "<p>In <strong>My orders</strong>.</p>" in page
    assert "parcel where\ntrack it</textarea>" in page

    staff.post(reverse("admin:routing_faqentry_do", args=[entry.pk, "publish"]))
    assert staff.post(here, written(tenant, answer="New", slug=entry.slug)).status_code == 302
    entry.refresh_from_db()
    assert (entry.state, entry.answer, entry.published["answer"]) == (FaqState.DRAFT, "New", "In **My orders**.")
    assert "Customers still see the text that was published before" in staff.get(here).content.decode()
    wrong = staff.post(here, written(tenant, answer=" ", slug="a b")).content.decode()
    assert wrong.count('class="errorlist"') >= 2


def test_the_list_shows_what_became_of_entries(staff: Client, tenant: Tenant) -> None:
    entry = make_entry(tenant, shown=9, answered=4, helpful=3, unhelpful=1)
    for status in ("resolved", "assigned"):
        talk = make_with_bot(tenant, "parcel?")
        talk.status = status
        talk.save()
        BotTurn.objects.create(
            tenant=tenant, conversation=talk, seq=1, action="answer", reason="sure", entry=entry, score=0.83, at=timezone.now()
        )
    page = staff.get(reverse("admin:routing_faqentry_changelist")).content.decode()
    assert "75 %" in page.replace("\xa0", " ").replace("75%", "75 %")
    assert "50 %" in page.replace("\xa0", " ").replace("50%", "50 %")
    exported = staff.get(reverse("admin:routing_faqentry_export"))
    assert entry.question in b"".join(exported.streaming_content).decode()  # type: ignore[attr-defined]

    turns = staff.get(reverse("admin:routing_botturn_changelist")).content.decode()
    assert "Where is my parcel?" in turns
    one = staff.get(reverse("admin:routing_botturn_change", args=[BotTurn.objects.all()[0].pk])).content.decode()
    assert "sure" in one


def test_a_file_is_shown_before_it_is_stored(staff: Client, tenant: Tenant) -> None:
    address = reverse("admin:routing_faqentry_import")
    content = b"question,answer\nWhy?,Because.\n"
    shown = staff.post(address, {"tenant": tenant.pk, "file": SimpleUploadedFile("a.csv", content)})
    assert (shown.status_code, FaqEntry.objects.count()) == (200, 0)
    assert staff.post(address, {"tenant": tenant.pk, "data": content.decode(), "apply": "1"}).status_code == 302
    assert FaqEntry.objects.get().question == "Why?"
    refused = staff.post(address, {"tenant": tenant.pk, "data": "question,answer\nWhy?,\n"})
    assert (refused.status_code, "Line 2" in refused.content.decode()) == (422, True)


def test_a_file_of_entries_comes_back_as_it_was(staff: Client, tenant: Tenant) -> None:
    make_entry(tenant, question="=1+1?", answer="- First\n- Second", phrasings=["+44 20"])
    answer: Any = staff.get(reverse("admin:routing_faqentry_export"))
    assert csv_files.check_file(tenant_id=tenant.pk, content=b"".join(answer.streaming_content)).same == 1
