"""The pages of the portal: languages, what is shown, which sites may frame them, and the widget's weight."""

import gzip
import re

import pytest
from django.test import Client

from posthaste.env import ROOT
from posthaste.lib.problems import Invalid
from routing.configuration import links_and_cache
from routing.entrances.editing import create_entrance
from routing.models import Entrance, EntranceKind
from routing.portal import articles, widget
from tests.builders import TESTER, make_tenant
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import Visitor, make_article, make_form

pytestmark = pytest.mark.django_db
SITE = "https://shop.example.com"


def text_of(entrance: Entrance, path: str = "", **query: str) -> str:
    answer = Visitor(entrance).get(path, **query)
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def test_a_portal_is_found_by_its_short_address_and_its_id() -> None:
    entrance = make_entrance(settings={"slug": "shop", "title": "Lamp shop", "title_zh": "灯具店", "greeting": "Hello!"})
    client = Client()
    assert "Lamp shop" in client.get("/help/shop/").content.decode()
    assert "灯具店" in client.get(f"/help/{entrance.pk}/?lang=zh-hans").content.decode()
    assert "灯具店" in client.get("/help/shop/", headers={"Accept-Language": "zh-CN"}).content.decode()
    Entrance.objects.update(is_enabled=False)
    assert client.get("/help/shop/").status_code == 404


def test_a_short_address_is_one_entrances_only() -> None:
    make_entrance(settings={"slug": "shop"})
    other = Entrance(tenant=make_tenant(), name="Other", kind=EntranceKind.PORTAL, created_at=make_entrance().created_at)
    with pytest.raises(Invalid) as refused:
        create_entrance(entrance=other, settings={"slug": "shop"}, secrets={}, by=TESTER)
    assert [error["field"] for error in refused.value.errors] == ["settings.slug"]


def test_pages_are_framed_by_the_entrances_sites_only_and_set_no_cookie() -> None:
    entrance = make_entrance(settings={"sites": [SITE]})
    make_article(entrance.tenant, "late", "My parcel is late")
    make_form(entrance.tenant)
    with links_and_cache.set(portal_cache_seconds=60):
        for path in ("", "chat/", "articles/", "a/late/", "request/", "requests/"):
            answer = Visitor(entrance).get(path)
            assert f"frame-ancestors 'self' {SITE}" in answer["Content-Security-Policy"], path
            assert "X-Frame-Options" not in answer
            assert (answer["Cache-Control"], dict(answer.cookies)) == ("public, max-age=60", {}), path


def test_parts_that_are_not_shown_are_not_there() -> None:
    entrance = make_entrance(settings={"shows_chat": False, "shows_articles": False, "shows_tickets": False})
    make_article(entrance.tenant, "late", "My parcel is late")
    assert "My parcel is late" not in text_of(entrance)
    paths = ("chat/", "articles/", "a/late/", "request/", "requests/")
    assert [Visitor(entrance).get(path).status_code for path in paths] == [404] * 5
    assert Visitor(entrance).begin().get("tickets/").status_code == 403


def test_articles_are_drawn_without_what_could_act() -> None:
    entrance = make_entrance()
    answer = "# Title\n\nSee **[us](javascript:alert(1))**, [them](https://example.com) <script>alert(1)</script><img src=x onerror=go()>"
    make_article(entrance.tenant, "late", "My parcel <b>is</b> late", answer)
    page = text_of(entrance, "a/late/")
    assert "<strong><a rel" in page
    assert 'href="https://example.com"' in page
    assert "<h2" in page
    assert not re.search(r"javascript:|<script>|<img|onerror|<b>", page)
    assert articles.excerpt(answer).startswith("Title See us, them")


def test_articles_are_listed_by_category_and_found_by_words() -> None:
    entrance = make_entrance()
    make_article(entrance.tenant, "late", "My parcel is late")
    make_article(entrance.tenant, "card", "Which cards do you take?", category="Payment")
    make_article(make_tenant(), "theirs", "Of another tenant")
    home = text_of(entrance)
    assert home.index("Delivery") < home.index("Payment")
    assert "Of another tenant" not in home
    found = text_of(entrance, "articles/", q="late parcels")
    assert ("My parcel is late" in found, "Which cards" in found) == (True, False)
    assert "No article matches" in text_of(entrance, "articles/", q="xyzzy")


def test_the_widget_weighs_less_than_30_kb_before_its_first_use() -> None:
    entrance = make_entrance(settings={"slug": "shop", "accent": "teal"})
    answer = Client().get("/help/shop/widget.js")
    body = answer.content
    print("widget.js:", len(body), "bytes,", len(gzip.compress(body)), "compressed")  # noqa: T201 - the figure is for docs
    assert answer["Content-Type"].startswith("text/javascript")
    assert len(body) < widget.MAX_BYTES / 2, "nothing else is loaded until the button is pressed"
    text = body.decode()
    assert widget.PLACE not in text
    assert ("#0f766e" in text, str(entrance.tenant.name) in text) == (True, True)
    assert not re.search(r"https?://(?!www\.w3\.org)", text), "no third party"
    assert re.findall(r"\b(?:window|globalThis)\.\w+\s*=[^=]", text) == [], "no global of the page is set"


def test_the_widgets_accents_are_those_of_the_pages() -> None:
    tokens = (ROOT / "static/css/tokens.css").read_text()
    assert f"--accent-fill: light-dark({widget.ACCENTS['indigo']}" in tokens
    for name, value in widget.ACCENTS.items():
        assert name == "indigo" or f"--fill-{name}: light-dark({value}" in tokens


def test_only_the_demo_has_a_page_of_a_shop() -> None:
    assert Client().get(f"/help/{make_entrance().pk}/demo/").status_code == 404
    shop = make_entrance(make_tenant(slug="demo"))
    assert f"/help/{shop.pk}/widget.js" in Client().get(f"/help/{shop.pk}/demo/").content.decode()
