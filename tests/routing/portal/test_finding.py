"""The search of articles: by words, by meaning, and by words alone while the encoder loads."""

import threading
import time
from collections.abc import Callable

import pytest

from accounts.models import Tenant
from posthaste.lib.problems import Unavailable
from routing.faq import index, indexing
from routing.faq.published import note_change
from routing.intents import readiness
from routing.intents.readiness import Readiness
from routing.models import FaqEntry
from routing.portal import finding
from tests.builders import json_of, make_tenant
from tests.patience import Patience
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import Visitor, make_article

pytestmark = pytest.mark.django_db
ARTICLES = {
    "track-parcel": ("How do I track my parcel?", ["Where can I see where my order is?"], "怎么查询物流？", ["我的快递到哪了"]),
    "return": ("How do I return something?", ["Can I send an article back?"], "怎么退货？", ["不想要了可以退吗"]),
    "opening-hours": ("What are your opening hours?", ["When are you open?"], "营业时间是几点？", ["你们几点开门"]),
    "reset-password": ("I forgot my password", ["I can't log in"], "忘记密码怎么办？", ["登录不上去"]),
}


@pytest.fixture
def shop() -> Tenant:
    """Publish articles in English and Chinese, with their vectors."""
    tenant = make_tenant()
    for slug, (question, phrasings, question_zh, phrasings_zh) in ARTICLES.items():
        make_article(tenant, slug, question, phrasings=phrasings)
        make_article(tenant, slug, question_zh, language="zh", phrasings=phrasings_zh)
    indexing.index_missing()
    index.indexes.forget()
    return tenant


@pytest.fixture
def encoder() -> None:
    """Have the sentence encoder loaded."""
    until(readiness.encoder.is_ready)


def until(holds: Callable[[], bool]) -> None:
    patience = Patience(60)
    while not holds():
        assert not patience.is_over()
        time.sleep(0.01)


def slugs(tenant: Tenant, text: str, language: str = "en", limit: int = 10) -> list[str]:
    return [one.slug for one in finding.find(tenant.pk, language, text, limit=limit)]


@pytest.mark.parametrize(
    ("text", "language", "slug"),
    [
        ("forgot password", "en", "reset-password"),
        ("I'd like to give it back", "en", "return"),
        ("until what time is the shop open", "en", "opening-hours"),
        ("sign in fails", "en", "reset-password"),
        ("几点关门", "zh-hans", "opening-hours"),
        ("账号登不进去", "zh-hans", "reset-password"),
        ("买错了能退回去吗", "zh-hans", "return"),
        ("我的包裹现在在哪里", "en", "track-parcel"),
        ("where is my package", "zh-hans", "track-parcel"),
    ],
)
def test_an_article_is_found_by_what_a_text_means_in_either_language(
    shop: Tenant, encoder: None, text: str, language: str, slug: str
) -> None:
    found = finding.find(shop.pk, language, text, limit=3)
    assert (found[0].slug, found[0].language) == (slug, language.partition("-")[0])
    assert len({one.slug for one in found}) == len(found), "no article comes twice"


def test_what_no_article_is_about_finds_none(shop: Tenant, encoder: None) -> None:
    assert slugs(shop, "xyzzy plugh") == slugs(shop, "今天天气真好", "zh-hans") == slugs(shop, "?") == []


def test_words_answer_while_the_encoder_loads_and_no_visitor_waits(shop: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, is_asked = threading.Event(), threading.Event()

    def load() -> None:
        is_asked.set()
        loads.wait(60)

    monkeypatch.setattr(readiness, "encoder", Readiness(load))
    assert slugs(shop, "forgot password") == ["reset-password"]
    assert slugs(shop, "sign in fails") == []
    assert is_asked.wait(60)
    loads.set()
    until(readiness.encoder.is_ready)
    assert slugs(shop, "sign in fails") == ["reset-password"]


def test_what_is_being_typed_in_a_chat_is_answered_by_meaning_too(shop: Tenant, encoder: None) -> None:
    visitor = Visitor(make_entrance(shop))
    found = json_of(visitor.get("suggest/", q="几点关门", lang="zh-hans"))["articles"]
    assert [one["question"] for one in found] == ["营业时间是几点？"]
    assert "I forgot my password" in visitor.get("articles/", q="sign in fails", lang="en").content.decode()


def test_articles_that_are_in_the_archive_by_now_are_not_found_by_meaning(shop: Tenant, encoder: None) -> None:
    FaqEntry.objects.filter(slug="opening-hours").update(state="archived")
    note_change(shop.pk)
    index.indexes.forget()
    assert "opening-hours" not in slugs(shop, "几点关门", "zh-hans")


def test_an_encoder_that_can_not_be_loaded_is_tried_again_later() -> None:
    now, tries = [0.0], []

    def load() -> None:
        tries.append(now[0])
        if len(tries) == 1:
            raise Unavailable

    encoder = Readiness(load, clock=lambda: now[0])
    assert not encoder.is_ready()
    until(lambda: not encoder._is_loading)
    assert not encoder.is_ready()
    assert tries == [0.0], "not at each search"
    now[0] = readiness.AGAIN_SECONDS
    assert not encoder.is_ready()
    until(encoder.is_ready)
    assert len(tries) == 2
