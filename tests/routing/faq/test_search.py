"""The search of the FAQ: by what a text means, in the language that is asked, and never an old text."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from routing.faq import editing, index, indexing, published, review, search
from routing.intents import vectors
from routing.models import FaqEntry, FaqVectors
from tests.builders import TESTER, make_tenant
from tests.routing.bot.builders import make_entry

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


@pytest.fixture
def entries(tenant: Tenant) -> dict[str, FaqEntry]:
    """Make entries in two languages with their vectors."""
    texts = {
        ("parcel", "en"): ("How do I track my parcel?", ["Where is my order?"]),
        ("parcel", "zh"): ("怎么查询物流？", ["我的快递到哪了"]),
        ("hours", "en"): ("What are your opening hours?", ["When are you open?"]),
        ("refund", "en"): ("When do I get my money back?", []),
    }
    made = {
        f"{slug}-{language}": make_entry(
            tenant, slug, language=language, question=question, phrasings=phrasings, answer=f"{slug} {language}"
        )
        for (slug, language), (question, phrasings) in texts.items()
    }
    assert indexing.index_missing() == 4
    return made


def found(tenant: Tenant, text: str, language: str = "", **options: object) -> list[str]:
    index.indexes.forget()  # the next look is half a second away
    return [f"{each.entry.slug}-{each.entry.language}" for each in search.find(tenant.pk, text, language, **options)]  # type: ignore[arg-type]


def test_a_question_in_other_words_and_another_language_finds_its_entry(tenant: Tenant, entries: dict[str, FaqEntry]) -> None:
    assert found(tenant, "what time does the shop open tomorrow", "en")[0] == "hours-en"
    assert found(tenant, "where can I see where my package is", "zh-hans") == ["parcel-zh"], "only one is in Chinese"
    assert found(tenant, "退款什么时候到账", "en")[0] == "refund-en"
    assert (found(tenant, " "), found(tenant, "parcel", "fr"), found(make_tenant(), "parcel")) == ([], [], [])
    editing.change_entry(entry=entries["hours-en"], changes={"is_for_bot": False}, by=TESTER, now=timezone.now())
    assert "hours-en" not in found(tenant, "opening hours", "en", is_for_bot=True)


def test_the_recognized_intent_tips_the_scales(tenant: Tenant, entries: dict[str, FaqEntry]) -> None:
    editing.change_entry(entry=entries["refund-en"], changes={"intent": "refund_status"}, by=TESTER, now=timezone.now())
    index.indexes.forget()
    scores = [
        next(each.score for each in search.find(tenant.pk, "money?", "en", 5, intents=intents) if each.entry.slug == "refund")
        for intents in (None, {"refund_status": 1.0}, {"thanks": 1.0})
    ]
    assert [round(score - scores[0], 3) for score in scores] == [0, 0.05, -0.05]


def test_another_text_is_found_once_a_worker_has_indexed_it(tenant: Tenant, entries: dict[str, FaqEntry]) -> None:
    entry, now = entries["hours-en"], timezone.now()
    assert not indexing.is_any_missing()
    editing.change_entry(entry=entry, changes={"question": "Do you wrap gifts?", "phrasings": []}, by=TESTER, now=now)
    assert not indexing.is_any_missing()
    review.publish_entry(entry=entry, by=TESTER, now=now)
    assert indexing.is_any_missing()
    assert "hours-en" not in found(tenant, "when are you open", "en", limit=9), "what was published before is gone at once"
    indexing.find_faq_vectors()
    assert found(tenant, "can it be packed as a present", "en")[0] == "hours-en"


def test_vectors_of_a_text_that_was_published_again_meanwhile_are_not_stored(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = make_entry(tenant)
    whole = indexing._store

    def store(encoded: list[FaqEntry], *rest: object) -> int:
        FaqEntry.objects.filter(pk=entry.pk).update(published={"question": "New", "phrasings": [], "answer": "x"})
        return whole(encoded, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(indexing, "_store", store)
    assert indexing.index_missing() == 0
    assert not FaqVectors.objects.exists()


def test_a_process_reads_entries_again_only_when_they_have_changed(tenant: Tenant, entries: dict[str, FaqEntry]) -> None:
    time = [0.0]
    indexes = index.Indexes(clock=lambda: time[0])
    first = indexes.of(tenant.pk)
    time[0] = 1.0
    assert indexes.of(tenant.pk) is first
    published.note_change(tenant.pk)
    assert indexes.of(tenant.pk) is first, "it looks twice a second at most"
    time[0] = 2.0
    assert indexes.of(tenant.pk) is not first


def test_an_entry_that_cannot_be_indexed_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (make_entry(tenant, slug, question=f"What is {slug}?", answer="This.") for slug in ("bad", "good"))
    whole = vectors.encode

    def encode(texts: list[str]) -> Any:
        if any("bad" in text for text in texts):
            raise ValueError
        return whole(texts)

    monkeypatch.setattr(vectors, "encode", encode)
    assert [indexing.index_missing() for _time in range(2)] == [1, 0]
    assert set(FaqVectors.objects.values_list("entry", flat=True)) == {good.pk}
    assert list(indexing.missing()) == [bad]
