"""From a draft to what is in force, and back."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from configcenter import hot
from configcenter.models import ConfigItem, ConfigRelease, ConfigState, Format, ReleaseAction
from configcenter.services import drafts, instances, items, loading, releases
from configcenter.services.drafts import DraftConflict
from configcenter.services.releases import GrayRunning, NoGray, NothingToPublish
from posthaste.lib.problems import Invalid, NotFound
from tests import crowds
from tests.builders import actor, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def pools() -> ConfigItem:
    return items.module_item("thread_pools")


def text(**changes: Any) -> str:
    return orjson.dumps(hot.module("thread_pools").model().model_dump() | changes).decode()


def publish(item: ConfigItem, content: str | None = None, **options: Any) -> ConfigRelease:
    return releases.publish(item=item, content=content, comment="because", by=actor("user:ada"), **options)


def save(item: ConfigItem, content: str, based_on: int | None = None) -> ConfigItem:
    version = item.draft_version if based_on is None else based_on
    return drafts.save_draft(item=item, content=content, based_on=version, by=actor("user:ada"), now=timezone.now())


def running() -> Any:
    loading.apply_released()
    return hot.module("thread_pools").now


def fields_of(error: Any) -> list[str]:
    return [entry["field"] for entry in error.value.errors]


def test_a_draft_is_published_comes_into_force_and_is_gone() -> None:
    item = save(pools(), text(max_threads=200))
    assert running().release == 0
    release = publish(item)
    assert (running().value.max_threads, running().release, running().md5) == (200, 1, release.md5)
    assert pools().draft is None
    assert pools().current == release
    entry = AuditEntry.objects.get(action="config.publish")
    assert (entry.actor, entry.target, entry.detail["version"]) == ("user:ada", "thread_pools", 1)


def test_the_audit_names_the_fields_that_changed_and_no_values() -> None:
    publish(pools(), text(max_threads=200))
    publish(pools(), text(max_threads=300, min_threads=20))
    entry = AuditEntry.objects.filter(action="config.publish").latest("at")
    assert entry.detail["changed"] == ["max_threads", "min_threads"]
    assert "300" not in str(entry.detail)


def test_an_invalid_draft_is_kept_but_not_published_and_each_wrong_field_is_named() -> None:
    item = save(pools(), text(max_threads=0, colour="red"))
    with pytest.raises(Invalid) as error:
        publish(item)
    assert sorted(fields_of(error)) == ["colour", "max_threads"]
    assert pools().draft is not None
    assert ConfigRelease.objects.count() == 0
    assert ConfigState.objects.filter(revision__gt=0).count() == 0


def test_a_field_inside_a_list_is_named_with_its_place() -> None:
    item = items.module_item("flow_rules")
    with pytest.raises(Invalid) as error:
        items.validate(item, '{"rules": [{"name": "a", "per_second": 5}, {"name": "b", "per_second": -1}]}')
    assert fields_of(error) == ["rules[1].per_second"]
    with pytest.raises(Invalid) as error:
        items.validate(pools(), text(min_threads=500))
    assert fields_of(error) == ["min_threads"]


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"max_threads": NaN}', "\ud800", "a\0"])
def test_what_is_no_object_is_refused(content: str) -> None:
    with pytest.raises(Invalid):
        publish(pools(), content)


def test_a_module_is_stored_in_one_form_with_all_its_fields() -> None:
    release = publish(pools(), '{"max_threads":50}')
    assert release.content == items.canonical(pools(), text(max_threads=50))
    assert orjson.loads(release.content)["grow_by"] == 10
    with pytest.raises(NothingToPublish):
        publish(pools(), '{"max_threads": 50.0}')


def test_without_a_draft_there_is_nothing_to_publish() -> None:
    with pytest.raises(NothingToPublish):
        publish(pools())


def test_of_two_editors_the_second_is_told_who_was_quicker() -> None:
    item = pools()
    save(item, text(max_threads=150), based_on=0)
    with pytest.raises(DraftConflict) as error:
        save(item, text(max_threads=160), based_on=0)
    assert error.value.extra["draft_by"] == "user:ada"
    assert error.value.extra["draft_version"] == 1
    assert orjson.loads(pools().draft or "")["max_threads"] == 150


def test_whoever_edits_a_draft_that_is_published_meanwhile_is_told() -> None:
    item = save(pools(), text(max_threads=150))
    seen = item.draft_version
    publish(item)
    with pytest.raises(DraftConflict):
        save(pools(), text(max_threads=160), based_on=seen)


def test_a_publish_of_a_draft_that_somebody_changed_is_refused() -> None:
    item = save(pools(), text(max_threads=150))
    save(item, text(max_threads=160))
    with pytest.raises(DraftConflict):
        publish(item, based_on=1)
    publish(item, based_on=2)
    assert running().value.max_threads == 160


def test_a_rollback_is_a_new_release_and_the_draft_follows() -> None:
    first = publish(pools(), text(max_threads=110))
    publish(pools(), text(max_threads=900))
    item = save(pools(), text(max_threads=901))
    release = releases.rollback(item=item, to=first, comment="too many", by=actor("user:ada"))
    assert (release.number, release.action, release.based_on) == (3, ReleaseAction.ROLLBACK, first)
    assert running().value.max_threads == 110
    assert pools().draft is None
    with pytest.raises(NothingToPublish):
        publish(pools())
    with pytest.raises(NothingToPublish):
        releases.rollback(item=pools(), to=first, comment="", by=actor("user:ada"))


def test_a_release_of_another_item_is_no_place_to_go_back_to() -> None:
    other = publish(items.module_item("queues"), '{"queue_capacity": 500}')
    publish(pools(), text(max_threads=110))
    with pytest.raises(Invalid):
        releases.rollback(item=pools(), to=other, comment="", by=actor("user:ada"))


def test_a_removed_module_is_back_at_its_defaults() -> None:
    publish(pools(), text(max_threads=110))
    assert running().value.max_threads == 110
    releases.remove(item=pools(), comment="", by=actor("user:ada"))
    assert (running().value.max_threads, running().release) == (100, 0)
    with pytest.raises(NothingToPublish):
        releases.remove(item=pools(), comment="", by=actor("user:ada"))


# --- gray releases -------------------------------------------------------------------------------------------------


@pytest.fixture
def become() -> Callable[..., None]:
    """Make this process another instance."""

    def become(kind: str, *labels: str) -> None:
        loading.forget()
        hot.reset()
        loading.loader.who = instances.Identity("host", kind, labels)

    return become


def gray(item: ConfigItem, content: str | None = None, labels: tuple[str, ...] = (), percent: int = 0) -> ConfigRelease:
    return releases.start_gray(item=item, content=content, labels=list(labels), percent=percent, comment="try", by=actor("user:ada"))


def test_a_gray_release_runs_where_the_label_is_and_nowhere_else(become: Callable[..., None]) -> None:
    publish(pools(), text(max_threads=110))
    gray(pools(), text(max_threads=220), labels=("zone=b",))
    become("web", "zone=a")
    assert running().release == 1
    become("web", "zone=b", "canary=yes")
    assert (running().release, running().value.max_threads) == (2, 220)


def test_a_percentage_draws_about_so_many_and_keeps_them_when_it_is_widened() -> None:
    kinds = [instances.Identity("host", f"kind-{n}") for n in range(1000)]

    def inside(percent: int) -> set[str]:
        return {who.kind for who in kinds if who.takes_part(item="queues", labels=[], percent=percent)}

    assert inside(0) == set()
    assert 50 < len(inside(10)) < 160
    assert inside(10) <= inside(50) <= inside(100)
    assert len(inside(100)) == 1000


def test_a_gray_release_is_widened_and_promoted(become: Callable[..., None]) -> None:
    item = save(pools(), text(max_threads=220))
    gray(item, labels=("zone=b",))
    assert pools().draft is None
    become("web")
    assert running().release == 0
    releases.widen_gray(item=pools(), labels=[], percent=100, by=actor("user:ada"))
    assert running().release == 1
    release = releases.promote_gray(item=pools(), comment="good", by=actor("user:ada"))
    assert (running().release, running().value.max_threads) == (release.number, 220)
    assert pools().gray is None


def test_an_abandoned_gray_release_leaves_every_instance(become: Callable[..., None]) -> None:
    publish(pools(), text(max_threads=110))
    gray(pools(), text(max_threads=220), percent=100)
    become("web")
    assert running().value.max_threads == 220
    release = releases.abandon_gray(item=pools(), comment="bad", by=actor("user:ada"))
    assert (running().release, running().value.max_threads) == (release.number, 110)
    with pytest.raises(NoGray):
        releases.abandon_gray(item=pools(), comment="", by=actor("user:ada"))


def test_abandoning_where_nothing_was_published_leads_back_to_the_defaults(become: Callable[..., None]) -> None:
    gray(pools(), text(max_threads=220), percent=100)
    become("web")
    assert running().value.max_threads == 220
    releases.abandon_gray(item=pools(), comment="", by=actor("user:ada"))
    assert (running().release, running().value.max_threads) == (0, 100)


def test_while_a_gray_release_runs_only_a_rollback_goes_past_it() -> None:
    first = publish(pools(), text(max_threads=110))
    gray(pools(), text(max_threads=220), percent=100)
    with pytest.raises(GrayRunning):
        publish(pools(), text(max_threads=330))
    with pytest.raises(GrayRunning):
        gray(pools(), text(max_threads=330), percent=100)
    releases.rollback(item=pools(), to=first, comment="", by=actor("user:ada"))
    assert pools().gray is None
    assert running().value.max_threads == 110


@pytest.mark.parametrize(("labels", "percent"), [((), 0), (("zone",), 0), ((), 101), (("a=b c",), 5)])
def test_a_gray_release_for_nobody_is_refused(labels: tuple[str, ...], percent: int) -> None:
    with pytest.raises(Invalid):
        gray(pools(), text(max_threads=220), labels=labels, percent=percent)


# --- overrides -----------------------------------------------------------------------------------------------------


def test_a_tenant_has_its_own_value_of_the_fields_it_may_have() -> None:
    shop, other = make_tenant("Shop"), make_tenant("Other")
    publish(items.module_item("retry_policy"), '{"max_retries": 5, "lease_seconds": 20}')
    publish(items.module_item("retry_policy", tenant=shop), '{"max_retries": 1}')
    loading.apply_released()
    policy = hot.module("retry_policy")
    assert [policy.of(tenant).max_retries for tenant in (shop.pk, other.pk, None)] == [1, 5, 5]
    assert policy.of(shop.pk).lease_seconds == 20
    publish(items.module_item("retry_policy"), '{"max_retries": 6, "lease_seconds": 25}')
    loading.apply_released()
    assert (policy.of(shop.pk).max_retries, policy.of(shop.pk).lease_seconds) == (1, 25)
    releases.remove(item=items.module_item("retry_policy", tenant=shop), comment="", by=actor("user:ada"))
    loading.apply_released()
    assert policy.of(shop.pk).max_retries == 6


def test_an_override_of_what_is_everybodys_is_refused() -> None:
    shop = make_tenant("Shop")
    with pytest.raises(Invalid) as error:
        publish(items.module_item("retry_policy", tenant=shop), '{"lease_seconds": 20}')
    assert fields_of(error) == ["lease_seconds"]
    with pytest.raises(NotFound):
        items.module_item("thread_pools", tenant=shop)
    with pytest.raises(NotFound):
        items.module_item("no_such_module")


def test_an_override_is_checked_together_with_what_it_lies_on() -> None:
    item = items.module_item("retry_policy", tenant=make_tenant())
    with pytest.raises(Invalid) as error:
        publish(item, '{"base_seconds": 2000}')  # above the longest pause of everybody
    assert fields_of(error) == ["base_seconds"]


def test_what_is_not_valid_any_more_keeps_the_value_before_and_is_told() -> None:
    publish(pools(), text(max_threads=110))
    assert running().value.max_threads == 110
    release = publish(pools(), text(max_threads=120))
    ConfigRelease.objects.filter(pk=release.pk).update(content='{"max_threads": 0}')  # as a newer version of ours may have written it
    assert running().value.max_threads == 110
    assert "max_threads" in loading.loader.state.errors["thread_pools"]
    publish(pools(), text(max_threads=130))
    assert running().value.max_threads == 130
    assert loading.loader.state.errors == {}


# --- free-form items -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Format.JSON, '{"a": 1}', "{"),
        (Format.YAML, "a: !custom [1, 2]\n---\nb: 1\n", "a: [1"),
        (Format.TOML, "a = 1", "a ="),
        (Format.XML, "<a><b/></a>", "<a>"),
        (Format.PROPERTIES, "a.b=c\\u00e9", "a=\\u12"),
    ],
)
def test_a_free_form_item_is_checked_by_its_format(kind: str, good: str, bad: str) -> None:
    namespace = items.default_namespace(None)
    item = items.create_item(namespace=namespace, group="DEFAULT_GROUP", data_id="app", format=kind, by=actor("user:ada"))
    with pytest.raises(Invalid) as error:
        publish(item, bad)
    assert fields_of(error) == ["content"]
    assert publish(item, good).content == good
    assert items.get_item(namespace=namespace, group="DEFAULT_GROUP", data_id="app").current is not None


def test_names_are_given_once_and_have_the_form_that_nacos_knows() -> None:
    namespace = items.create_namespace(tenant=None, slug="dev", name="Development", by=actor("user:ada"))
    with pytest.raises(items.Exists):
        items.create_namespace(tenant=None, slug="dev", name="", by=actor("user:ada"))
    items.create_item(namespace=namespace, group="g", data_id="d", format="text", by=actor("user:ada"))
    with pytest.raises(items.Exists):
        items.create_item(namespace=namespace, group="g", data_id="d", format="text", by=actor("user:ada"))
    with pytest.raises(Invalid):
        items.create_item(namespace=namespace, group="a b", data_id="d", format="text", by=actor("user:ada"))
    with pytest.raises(NotFound):
        items.get_item(namespace=namespace, group="g", data_id="none")


def test_a_namespace_with_something_in_force_is_not_deleted() -> None:
    namespace = items.create_namespace(tenant=None, slug="dev", name="", by=actor("user:ada"))
    item = items.create_item(namespace=namespace, group="g", data_id="d", format="text", by=actor("user:ada"))
    publish(item, "hello")
    with pytest.raises(items.NotEmpty):
        items.delete_namespace(namespace=namespace, by=actor("user:ada"))
    releases.remove(item=item, comment="", by=actor("user:ada"))
    items.delete_namespace(namespace=namespace, by=actor("user:ada"))
    assert not ConfigItem.objects.filter(pk=item.pk).exists()


# --- history -------------------------------------------------------------------------------------------------------


def test_old_releases_go_but_not_what_is_in_force_and_not_the_last_twenty() -> None:
    now = timezone.now()
    for number in range(30):
        publish(pools(), text(max_threads=200 + number))
    ConfigRelease.objects.update(at=now - timedelta(days=31))
    other = publish(items.module_item("queues"), '{"queue_capacity": 500}')
    ConfigRelease.objects.filter(pk=other.pk).update(at=now - timedelta(days=400))
    assert releases.forget_old_releases(now=now) == 10
    assert list(ConfigRelease.objects.filter(item=pools()).values_list("number", flat=True)) == list(range(30, 10, -1))
    assert releases.forget_old_releases(now=now) == 0
    assert ConfigRelease.objects.filter(pk=other.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_publishes_that_meet_stand_one_after_the_other_and_none_is_lost() -> None:
    pools()
    outcomes: list[str] = []

    def one(number: int) -> None:
        publish(pools(), text(max_threads=200 + number))
        outcomes.append("published")

    crowds.at_once(*(partial(one, number) for number in range(8)))
    assert outcomes == ["published"] * 8
    found = list(ConfigRelease.objects.filter(item=pools()).order_by("number").values_list("number", "revision"))
    assert [number for number, _revision in found] == list(range(1, 9))
    assert [revision for _number, revision in found] == sorted({revision for _number, revision in found})
    newest = ConfigRelease.objects.latest("number")
    assert pools().current == newest


@pytest.mark.django_db(transaction=True)
def test_of_two_who_publish_the_same_draft_one_does() -> None:
    item = save(pools(), text(max_threads=150))
    outcomes: list[str] = []

    def one() -> None:
        try:
            publish(pools(), based_on=item.draft_version)
            outcomes.append("published")
        except (DraftConflict, NothingToPublish) as error:
            outcomes.append(error.code)

    crowds.at_once(one, one)
    assert sorted(outcomes) in (["draft_conflict", "published"], ["nothing_to_publish", "published"])
    assert ConfigRelease.objects.count() == 1
