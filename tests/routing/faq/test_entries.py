"""Entries of the FAQ: written, reviewed, published, archived; and what customers see meanwhile."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid
from routing.configuration import bot
from routing.faq import csv_files, editing, published, rendering, review
from routing.faq.review import NeedsReview
from routing.models import FaqEntry, FaqState
from routing.portal import articles
from tests.builders import TESTER, configure
from tests.routing.bot.builders import make_entry

pytestmark = pytest.mark.django_db
OTHER = Actor.command("other")
HEAD = "slug,language,category,question,phrasings,answer,intent\n"


def create(tenant: Tenant, by: Actor = TESTER, **values: Any) -> FaqEntry:
    given = {"question": "Where is my parcel?", "answer": "In **My orders**.", **values}
    return editing.create_entry(tenant_id=tenant.pk, values=given, by=by, now=timezone.now())


def seen(tenant: Tenant, **asked: str) -> list[str]:
    """Return the answers that customers see."""
    return [published.texts_of(entry).answer for entry in published.entries(tenant.pk, **asked)]


def test_a_published_text_stays_until_the_next_is_published(tenant: Tenant) -> None:
    now, entry = timezone.now(), create(tenant, category="Delivery", phrasings=["  parcel  where ", "Parcel where", "where is my PARCEL?"])
    assert (entry.slug, entry.state, entry.phrasings) == ("where-is-my-parcel", FaqState.DRAFT, ["parcel where"])
    assert seen(tenant) == []

    review.publish_entry(entry=entry, by=TESTER, now=now)
    assert seen(tenant, language="en", category="Delivery", slug=entry.slug) == ["In **My orders**."]
    before = published.revision(tenant.pk)

    changed = editing.change_entry(entry=entry, changes={"answer": "Look it up."}, by=OTHER, now=now)
    assert (changed.state, changed.written_by) == (FaqState.DRAFT, "command:other")
    assert (seen(tenant), published.revision(tenant.pk)) == (["In **My orders**."], before)
    review.publish_entry(entry=entry, by=TESTER, now=now)
    assert seen(tenant) == ["Look it up."]
    assert published.revision(tenant.pk) > before

    with pytest.raises(Conflict, match="Archive it first"):
        editing.delete_entry(entry=entry, by=TESTER)
    review.archive_entry(entry=entry, by=TESTER, now=now)
    assert seen(tenant) == []
    with pytest.raises(Conflict, match="Restore it first"):
        editing.change_entry(entry=entry, changes={"answer": "x"}, by=TESTER, now=now)
    review.restore_entry(entry=entry, by=TESTER, now=now)
    editing.delete_entry(entry=entry, by=TESTER)
    history = list(AuditEntry.objects.filter(target=str(entry.pk)).order_by("pk").values_list("action", flat=True))
    assert history == [f"faq.{verb}" for verb in ("create", "publish", "change", "publish", "archive", "restore", "delete")]


def test_facts_of_a_published_entry_count_at_once(tenant: Tenant) -> None:
    entry = make_entry(tenant)
    before = published.revision(tenant.pk)
    changed = editing.change_entry(entry=entry, changes={"category": "Orders", "is_for_bot": False}, by=TESTER, now=timezone.now())
    assert (changed.state, changed.is_for_bot) == (FaqState.PUBLISHED, False)
    assert published.revision(tenant.pk) > before


def test_two_people_publish_where_that_is_configured(tenant: Tenant) -> None:
    configure(bot, two_people=True)
    now, entry = timezone.now(), create(tenant)
    with pytest.raises(NeedsReview, match="Offer the entry for review first"):
        review.publish_entry(entry=entry, by=OTHER, now=now)
    review.submit_entry(entry=entry, by=TESTER, now=now)
    with pytest.raises(NeedsReview, match="You wrote this entry"):
        review.publish_entry(entry=entry, by=TESTER, now=now)
    review.return_entry(entry=entry, by=OTHER, now=now)
    review.submit_entry(entry=entry, by=TESTER, now=now)
    assert review.publish_entry(entry=entry, by=OTHER, now=now).reviewed_by == "command:other"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"question": " "}, "question"),
        ({"answer": ""}, "answer"),
        ({"question": "x" * 301}, "question"),
        ({"language": "English"}, "language"),
        ({"slug": "a/b"}, "slug"),
        ({"slug": "taken"}, "slug"),
        ({"phrasings": ["x" * 301]}, "phrasings"),
        ({"phrasings": [str(n) for n in range(51)]}, "phrasings"),
    ],
)
def test_what_is_wrong_names_its_field(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    make_entry(tenant, "taken")
    with pytest.raises(Invalid) as found:
        create(tenant, **values)
    assert [error["field"] for error in found.value.errors] == [field]


def test_a_slug_is_made_of_the_question_with_a_number_where_it_is_taken(tenant: Tenant) -> None:
    assert [create(tenant).slug, create(tenant).slug] == ["where-is-my-parcel", "where-is-my-parcel-2"]
    assert create(tenant, language="ZH", question="包裹在哪里？").slug == "包裹在哪里"
    assert create(tenant, language="zh", slug="where-is-my-parcel").language == "zh"


def test_a_file_brings_drafts_and_can_be_written_again(tenant: Tenant) -> None:
    there = make_entry(tenant, "parcel", answer="Old")
    content = f'{HEAD}parcel,en,,Where is my parcel?,,New,\nhours,zh,Shop,几点开门？,"营业时间\n几点关门",9–18,opening_hours\n'.encode()
    report = csv_files.check_file(tenant_id=tenant.pk, content=content)
    assert report.as_dict() == {"rows": 2, "new": 1, "changed": 1, "same": 0}
    assert csv_files.import_file(tenant_id=tenant.pk, report=report, by=TESTER, now=timezone.now()) == 2
    there.refresh_from_db()
    assert (there.state, there.answer, seen(tenant)) == (FaqState.DRAFT, "New", ["Old"])
    made = FaqEntry.objects.get(slug="hours")
    assert (made.phrasings, made.intent, made.state) == (["营业时间", "几点关门"], "opening_hours", FaqState.DRAFT)
    assert next(iter(csv_files.cells([made]))) == ("hours", "zh", "Shop", "几点开门？", "营业时间\n几点关门", "9–18", "opening_hours")
    assert csv_files.check_file(tenant_id=tenant.pk, content=content).same == 2


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"question\nWhy?\n", ["file"]),
        ("question,answer\nÄ,b\n".encode("latin-1"), ["file"]),
        (b"question,answer\n,b\nWhy?,\nWhy?,a\nWhy?,c\n", ["line 2", "line 3", "line 5"]),
    ],
)
def test_a_file_with_an_error_is_refused_and_names_the_lines(tenant: Tenant, content: bytes, fields: list[str]) -> None:
    with pytest.raises(Invalid) as found:
        csv_files.check_file(tenant_id=tenant.pk, content=content)
    assert [error["field"] for error in found.value.errors] == fields


def test_an_answer_of_brackets_holds_up_no_one() -> None:
    text = "[" * 20_000
    assert "[[[" in articles.drawn(text)
    assert "[[[" in rendering.html_of(text)
    assert 'href="https://example.com"' in rendering.html_of("[Page](https://example.com) [1]" * 200)


def test_an_answer_is_harmless_html_and_a_text_without_marks() -> None:
    answer = "## Track\n\nOpen **My orders** or [the page](https://example.com/x).\n\n<script>alert(1)</script>[bad](javascript:alert(1))"
    html = rendering.html_of(answer)
    assert '<strong>My orders</strong> or <a href="https://example.com/x" rel="noopener noreferrer">the page</a>' in html
    assert "script" not in html.replace("javascript", "") or "<script" not in html
    assert 'href="javascript' not in html
    assert rendering.text_of("## Track\n\nOpen **My orders** or [the page](https://example.com/x).") == (
        "Track\n\nOpen My orders or the page (https://example.com/x)."
    )
