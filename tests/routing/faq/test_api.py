"""The FAQ over the API: what may be read, written and published, and what it suggests to agents."""

import pytest

from accounts.models import Tenant
from routing.faq import index, indexing
from routing.models import FaqEntry
from tests.builders import Api, fields_of, json_of, make_api
from tests.routing.bot.builders import make_entry, make_with_bot

pytestmark = pytest.mark.django_db
ENTRIES = "/api/faq/entries/"


def test_an_entry_is_written_published_read_and_archived(api: Api, tenant: Tenant) -> None:
    made = json_of(api.post(ENTRIES, {"question": "Where is my parcel?", "answer": "In **My orders**.", "phrasings": ["parcel?"]}))
    assert (made["slug"], made["state"], made["is_published"]) == ("where-is-my-parcel", "draft", False)
    one = f"{ENTRIES}{made['id']}/"
    reader = make_api(tenant, "faq:read")
    assert json_of(reader.get("/api/faq/"))["results"] == []
    assert reader.get(ENTRIES).status_code == 403

    assert json_of(api.post(f"{one}submit/"))["state"] == "review"
    assert json_of(api.post(f"{one}return/"))["state"] == "draft"
    assert json_of(api.post(f"{one}publish/"))["state"] == "published"
    assert json_of(api.patch(one, {"answer": "New"}))["state"] == "draft"
    shown = json_of(reader.get(f"/api/faq/{made['id']}/"))
    assert (shown["answer"], shown["answer_html"]) == ("In **My orders**.", "<p>In <strong>My orders</strong>.</p>")
    assert [each["id"] for each in json_of(reader.get("/api/faq/", language="en"))["results"]] == [made["id"]]
    assert json_of(reader.get("/api/faq/", language="zh"))["results"] == []
    assert [each["id"] for each in json_of(api.get(ENTRIES, state="draft"))["results"]] == [made["id"]]
    assert api.delete(one).status_code == 409

    assert json_of(api.post(f"{one}archive/"))["is_published"] is False
    assert reader.get(f"/api/faq/{made['id']}/").status_code == 404
    assert json_of(api.post(f"{one}restore/"))["state"] == "draft"
    assert api.delete(one).status_code == 204
    assert fields_of(api.post(ENTRIES, {"question": "", "answer": "x"})) == ["question"]


def test_a_file_is_reported_first_and_stored_whole(api: Api, tenant: Tenant) -> None:
    content = b"question,answer\nWhy?,Because.\n"
    address, sent = "/api/faq/import/", {"content_type": "text/csv"}
    tried = json_of(api.post(address, content, query_params={"dry_run": "true"}, **sent))
    assert (tried["new"], tried["is_stored"], FaqEntry.objects.count()) == (1, False, 0)
    assert json_of(api.post(address, content, **sent))["is_stored"] is True
    assert FaqEntry.objects.get().slug == "why"
    assert fields_of(api.post(address, b"question,answer\nWhy?,\n", **sent)) == ["line 2"]


def test_entries_are_searched_and_suggested_in_a_conversation(api: Api, tenant: Tenant) -> None:
    entry = make_entry(tenant, question="How do I track my parcel?", answer="See [the page](https://example.com).")
    make_entry(tenant, question="Do you wrap gifts?")
    indexing.index_missing()
    index.indexes.forget()
    best = json_of(make_api(tenant, "faq:read").get("/api/faq/search/", q="where is my package now", language="en"))["results"][0]
    assert (best["id"], best["score"] > 0.4) == (str(entry.pk), True)
    assert fields_of(api.get("/api/faq/search/")) == ["q"]

    conversation = make_with_bot(tenant, "Hi", "where is my package now")
    found = json_of(api.get(f"/api/conversations/{conversation.pk}/suggestions/", limit="1"))["results"]
    assert [(each["entry"], each["text"]) for each in found] == [(str(entry.pk), "See the page (https://example.com).")]
