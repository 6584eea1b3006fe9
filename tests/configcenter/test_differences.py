"""Large texts, and texts made to be compared slowly: published and compared without holding up the others."""

from typing import Any

import pytest

from accounts.models import AuditEntry
from configcenter.models import ConfigItem
from configcenter.services import changes, formats, items, releases
from configcenter.services.differences import MAX_FIELD_LENGTH, MAX_FIELDS, summary
from tests.builders import Api, actor, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
ITEMS = "/api/config/items/"


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant("Shop"))


def publish(item: ConfigItem, content: str) -> dict[str, Any]:
    """Publish a text and return what the audit trail tells about it."""
    releases.publish(item=item, content=content, comment="", by=actor("user:ada"))
    detail: dict[str, Any] = AuditEntry.objects.filter(action="config.publish").latest("pk").detail
    return detail


def make(format: str) -> ConfigItem:
    return items.create_item(namespace=items.default_namespace(None), group="G", data_id="d", format=format, by=actor("user:ada"))


def test_the_audit_trail_counts_lines_of_large_texts() -> None:
    item = make("text")
    assert publish(item, "a\n" * 400_000)["lines_added"] == 400_000
    detail = publish(item, "a\n" * 399_999 + "b\n")
    assert (detail["lines_added"], detail["lines_removed"]) == (1, 1)
    detail = publish(item, "b\n" * 3)
    assert (detail["lines_added"], detail["lines_removed"]) == (2, 399_999)


def test_the_audit_trail_names_the_first_fields_of_a_large_value_briefly() -> None:
    item = make("json")
    publish(item, '{"a": {"b": 1}, "c": [1, 2]}')
    assert publish(item, '{"a": 5, "c": [1, 3, 4], "d": {}}')["changed"] == ["a", "a.b", "c[1]", "c[2]", "d"]
    detail = publish(item, f'{{"{"k" * 400_000}": [{"1," * 20_000}1]}}')  # each name of a field has the long one in it
    assert detail["changed_in_all"] == 20_006
    assert (len(detail["changed"]), {len(name) for name in detail["changed"][-40:]}) == (MAX_FIELDS, {MAX_FIELD_LENGTH})
    detail = publish(item, f"{'[' * 199}{'1,' * 20_000}1{']' * 199}")
    assert detail["changed_in_all"] == 40_002


@pytest.mark.parametrize("format", ["json", "text", "toml"])
def test_texts_are_checked_and_compared_before_the_lock_is_taken(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = make(format)
    done: list[tuple[int, int]] = []

    def work() -> tuple[int, int]:
        return formats.parse.cache_info().misses, summary.cache_info().misses

    def lock() -> int:
        done.append(work())
        return take()

    take = changes.next_revision
    monkeypatch.setattr(changes, "next_revision", lock)
    texts = {"json": "[1]", "text": "1", "toml": "a = 1"}
    before = work()
    publish(item, texts[format])
    releases.start_gray(item=item, content=f"{texts[format]}\n", labels=[], percent=5, comment="", by=actor("user:ada"))
    item = items.get_item(namespace=item.namespace, group="G", data_id="d")
    releases.promote_gray(item=item, comment="", by=actor("user:ada"))
    releases.rollback(item=item, to=item.releases.get(number=1), comment="", by=actor("user:ada"))
    assert len(done) == 4
    assert done[-1] == work() > before


def test_a_comparison_over_the_api_says_where_it_ends(api: Api) -> None:
    api.post(ITEMS, {"data_id": "lines", "format": "text"})
    path = f"{ITEMS}public/DEFAULT_GROUP/lines/"
    for content in ("a\n" * 400_000, "b\n" * 400_000, "b\n" * 399_999 + "c\n"):
        assert api.post(f"{path}publish/", {"content": content}).status_code == 201
    lines = json_of(api.get(f"{path}diff/", before=1, after=2))
    assert (len(lines), lines[-1]["kind"], lines[-1]["text"]) == (10_001, "gap", "Only the first 10000 lines are shown.")
    assert [line["text"] for line in json_of(api.get(f"{path}diff/", before=2, after=3))] == ["", "b", "b", "b", "b", "c"]
    assert json_of(api.get(f"{path}diff/", before=2, after=2)) == []
