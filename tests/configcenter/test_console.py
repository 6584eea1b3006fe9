"""The web console of the configuration: who may what, forms made from the classes, drafts, publishing, going back."""

import re
from datetime import timedelta
from enum import Enum
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import TextChoices
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from pydantic import BaseModel

from accounts.models import AuditEntry, ConfigRight, User
from configcenter import hot, selectors
from configcenter.console.form import blank, build, kind_of
from configcenter.models import ConfigItem, ConfigNamespace
from configcenter.services import drafts, instances, items, releases
from posthaste.lib import locks
from posthaste.ui import paginator
from tests.builders import actor, make_key, make_tenant
from tests.configcenter.forms import posted

pytestmark = pytest.mark.django_db
MODULES = [handle.name for handle in hot.modules()]


def staff(right: str = ConfigRight.PUBLISH, name: str = "ada") -> Client:
    """Return a client signed in as a member of staff with this right."""
    user = User.objects.create(username=name, is_staff=True, config_right=right)
    client = Client()
    client.force_login(user)
    return client


def at(name: str, verb: str = "edit", *more: Any, tenant: str = "") -> str:
    return reverse(f"config:module-{verb}", args=[name, *more]) + (f"?tenant={tenant}" if tenant else "")


def form_of(client: Client, url: str) -> dict[str, Any]:
    answer = client.get(url)
    assert answer.status_code == 200
    return posted(answer.content.decode())


def effective(name: str) -> dict[str, Any]:
    return dict(orjson.loads(items.effective(items.module_item(name))))


def draft_of(name: str) -> dict[str, Any]:
    return dict(orjson.loads(items.module_item(name).draft or ""))


def publish(name: str, *, author: str = "user:bob", **fields: Any) -> Any:
    item = items.module_item(name)
    return releases.publish(item=item, content=orjson.dumps(effective(name) | fields).decode(), comment="because", by=actor(author))


# --- who may what -------------------------------------------------------------------------------------------------


def test_staff_without_the_right_sees_nothing_and_has_no_entry_in_the_rail() -> None:
    client = staff(ConfigRight.NONE)
    for url in (reverse("config:overview"), at("queues"), at("queues", "history"), reverse("config:items"), reverse("config:instances")):
        assert client.get(url).status_code == 403
    assert reverse("config:overview") not in client.get(reverse("admin:index")).content.decode()


def test_whoever_may_look_is_offered_nothing_that_changes_and_can_change_nothing() -> None:
    client = staff(ConfigRight.VIEW)
    page = client.get(at("queues")).content.decode()
    assert 'name="save"' not in page
    assert reverse("config:overview") in page
    assert client.post(at("queues"), {}).status_code == 403
    assert client.post(at("queues", "publish"), {}).status_code == 403
    assert client.post(at("queues", "discard"), {}).status_code == 403
    assert client.get(reverse("config:item-new")).status_code == 403


def test_whoever_may_edit_saves_drafts_but_does_not_publish() -> None:
    client = staff(ConfigRight.EDIT)
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000"})
    item = items.module_item("queues")
    assert orjson.loads(item.draft or "")["queue_capacity"] == 20_000
    assert client.post(at("queues", "publish"), {"comment": "now", "based_on": item.draft_version}).status_code == 403
    item.refresh_from_db()
    assert item.current is None
    for verb in ("gray", "remove"):
        assert client.post(at("queues", verb), {}).status_code == 403


# --- forms from classes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_posting_a_form_unchanged_changes_nothing(name: str) -> None:
    client = staff()
    before = effective(name)
    answer = client.post(at(name), form_of(client, at(name)))
    assert (answer.status_code, answer["Location"]) == (302, at(name))
    item = items.module_item(name)
    assert (item.draft, item.draft_version, item.current) == (None, 0, None)
    assert before == effective(name)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_form_says_is_what_the_draft_says(name: str) -> None:
    """Every field is set to something else that its class allows, and comes back from the page as it was."""
    handle = hot.module(name)
    changed = _other(handle.model, handle.model().model_dump(mode="json"))
    item = items.module_item(name)
    drafts.save_draft(item=item, content=orjson.dumps(changed).decode(), based_on=0, by=actor("user:bob"), now=timezone.now())
    item.refresh_from_db()
    client = staff()
    assert client.post(at(name), form_of(client, at(name))).status_code == 302
    again = items.module_item(name)
    assert (again.draft_version, again.draft_by) == (1, "user:bob")
    assert orjson.loads(again.draft or "") == orjson.loads(item.draft or "")


#: Fields that take not just any value of their type, of all shapes or of one.
FITTING: dict[str, Any] = {
    "Detail.name": "order_number",
    "Detail.question": "Which order?",
    "address": "https://hooks.example.com/x",
    "AlarmRule.inhibited_by": ["redis-away"],
    "AlarmRule.only": [],
    "AlarmRule.receivers": ["operators 5"],
    "AssignmentRule.languages": ["en", "pt-br"],
    "AssignmentRule.name": "one",
    "AttributeRule.attribute": "orders",
    "AttributeRule.sets": "level",
    "AttributeRule.to": "gold",
    "allowed_hosts": ["a.example.com", "*.example.org"],
    "burst": 0,
    "channel": "chat",
    "channels": ["sms", "email"],
    "day": 7,
    "days": [3],
    "holidays": ["2026-12-25", "2027-01-01"],
    "receivers": ["ada@example.com", "https://hooks.example.com/x"],
    **dict.fromkeys(("intent", "provider", "skill_group", "value"), "one"),
}


def _other(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with as many of them changed as possible, and a member in every list."""
    for name, info in model.model_fields.items():
        kind, inner = kind_of(info)
        if kind == "shape":
            values[name] = _other(inner, values[name])
        elif kind == "list":
            values[name] = [*values[name][:2], _other(inner, blank(inner))]
        elif kind == "switch":
            values[name] = not values[name]
        elif kind == "select" and name not in ("resource", "origin", "unit"):  # of which not every pair means something
            values[name] = list(inner)[-1].value
        elif (own := f"{model.__name__}.{name}") in FITTING or name in FITTING:
            values[name] = FITTING.get(own, FITTING.get(name))
        elif kind == "lines":
            values[name] = ["one", "two"]
        elif kind == "number" and inner is float:
            values[name] = (values[name] or 0) + 0.25
        elif kind == "number":
            values[name] += -1 if values[name] > 1 else 1
    return values


def test_every_choice_of_the_modules_has_words() -> None:
    found: set[type[TextChoices]] = set()

    def walk(model: type[BaseModel]) -> None:
        for info in model.model_fields.values():
            kind, inner = kind_of(info)
            if kind == "choice":
                assert all(str(label) for _value, label in hot.CHOICES[inner]())
                continue
            assert not issubclass(inner, Enum) or kind == "select", f"{inner.__name__} has no labels: make it TextChoices"
            if kind in ("shape", "list"):
                walk(inner)
            elif kind == "select":
                found.add(inner)

    for handle in hot.modules():
        walk(handle.model)
    assert len(found) == 16
    with translation.override("zh-hans"):
        assert [str(member) for choices in found for member in choices if str(member.label).isascii()] == []


def test_an_input_has_the_limits_the_unit_and_the_help_of_its_field() -> None:
    entry = next(entry for entry in build(hot.module("thread_pools").model, {}).entries if entry.name == "max_threads")
    assert (entry.kind, entry.unit, entry.limits) == ("number", "threads", {"min": "1", "max": "1000", "step": "1"})
    page = staff().get(at("thread_pools")).content.decode()
    assert re.search(r'<input type="number" id="f-max_threads" name="max_threads" value="100"[^>]* min="1" max="1000" step="1"', page)
    assert "Provider caps may keep the pool below this." in page


def test_what_differs_from_the_default_is_marked_with_the_default_beside_it() -> None:
    publish("queues", queue_capacity=20_000)
    page = staff().get(at("queues")).content.decode()
    assert page.count("Differs from the default") == 2  # once to see, once to hear
    assert "10,000 messages" in page


def test_an_error_stands_at_its_field_and_what_was_typed_is_kept() -> None:
    client = staff()
    typed = form_of(client, at("flow_rules")) | {"rules[1].per_second": "many", "system.latency_ms": "0"}
    answer = client.post(at("flow_rules"), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    for field, said in (("f-rules-1-per_second", "Must be a number."), ("f-system-latency_ms", "Must be at least 1.")):
        assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', page), field
        assert re.search(rf'<ul class="errorlist" id="{field}-e"><li>{said}', page), field
    assert posted(page) == typed
    assert items.module_item("flow_rules").draft is None


def test_a_check_of_the_whole_module_stands_at_the_field_it_names() -> None:
    client = staff()
    page = client.post(at("thread_pools"), form_of(client, at("thread_pools")) | {"min_threads": "500"}).content.decode()
    assert '<ul class="errorlist" id="f-min_threads-e"><li>Must not exceed the maximum threads.' in page


def test_blocks_are_added_moved_and_removed_without_a_script() -> None:
    client = staff()
    typed = form_of(client, at("flow_rules"))
    page = client.post(at("flow_rules"), typed | {"add-block": "rules[0].exceptions"}).content.decode()
    typed = posted(page)
    assert "rules[0].exceptions[0].value" in typed
    page = client.post(at("flow_rules"), typed | {"rules[0].exceptions[0].value": "shop", "move-down": "rules[0]"}).content.decode()
    typed = posted(page)
    assert (typed["rules[0].name"], typed["rules[1].name"], typed["rules[1].exceptions[0].value"]) == ("api", "accept", "shop")
    typed = posted(client.post(at("flow_rules"), typed | {"remove-block": "rules[2]"}).content.decode())
    client.post(at("flow_rules"), typed)
    draft = draft_of("flow_rules")
    assert [rule["name"] for rule in draft["rules"]] == ["api", "accept", "public-pages"]
    assert [exception["value"] for exception in draft["rules"][1]["exceptions"]] == ["shop"]


@pytest.mark.parametrize("verb", ["add-block", "remove-block", "move-up", "move-down"])
@pytest.mark.parametrize(
    "block", ["rules[zz]", "rules[²]", "rules[٠]", "rules[-1]", "rules[]", "rules[0", f"rules[{'9' * 5_000}]", "rules", "]["]
)
def test_a_button_of_a_block_that_does_not_exist_changes_nothing(verb: str, block: str) -> None:
    client = staff()
    typed = form_of(client, at("flow_rules"))
    if (verb, block) != ("add-block", "rules"):
        answer = client.post(at("flow_rules"), typed | {verb: block})
        assert answer.status_code == 200
        assert posted(answer.content.decode()) == typed


def test_blocks_that_a_script_made_and_moved_are_read_in_the_order_of_the_page() -> None:
    client = staff()
    typed = form_of(client, at("flow_rules"))
    own = {name.replace("rules[1]", "rules[n1]"): value for name, value in typed.items() if name.startswith("rules[1].")}
    client.post(at("flow_rules"), typed | own | {"rules[n1].name": "mine", "rules:order": ["3", "n1", "0"]})
    draft = draft_of("flow_rules")
    assert [rule["name"] for rule in draft["rules"]] == ["public-pages", "mine", "accept"]


def test_a_draft_that_is_not_valid_any_more_can_still_be_opened() -> None:
    item = items.module_item("flow_rules")
    drafts.save_draft(
        item=item,
        content='{"rules": [{"per_second": "x", "resource": "gone"}, 7], "system": []}',
        based_on=0,
        by=actor("user:bob"),
        now=timezone.now(),
    )
    answer = staff().get(at("flow_rules"))
    assert answer.status_code == 200
    assert '<option value="gone" selected>' in answer.content.decode()


# --- two editors --------------------------------------------------------------------------------------------------


def test_the_second_of_two_editors_is_told_who_changed_what_and_keeps_what_he_typed() -> None:
    ada, bob = staff(name="ada"), staff(name="bob")
    first, second = form_of(ada, at("queues")), form_of(bob, at("queues"))
    ada.post(at("queues"), first | {"queue_capacity": "20000"})
    answer = bob.post(at("queues"), second | {"max_backlog": "5000000"})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "ada saved first." in page
    assert re.search(r"Queue capacity</th><td class=\"removed\">10,000 messages</td><td class=\"added\">20,000 messages", page)
    again = posted(page)
    assert (again["max_backlog"], again["queue_capacity"]) == ("5000000", "20000")
    assert draft_of("queues")["max_backlog"] == 2_000_000
    bob.post(at("queues"), again)
    draft = draft_of("queues")
    assert (draft["queue_capacity"], draft["max_backlog"]) == (20_000, 5_000_000)


def test_a_field_that_both_changed_keeps_what_the_second_one_typed_and_says_so() -> None:
    ada, bob = staff(name="ada"), staff(name="bob")
    first, second = form_of(ada, at("queues")), form_of(bob, at("queues"))
    ada.post(at("queues"), first | {"queue_capacity": "20000"})
    page = bob.post(at("queues"), second | {"queue_capacity": "30000"}).content.decode()
    assert posted(page)["queue_capacity"] == "30000"
    assert re.search(r"removed\">20,000 messages</td><td class=\"added\">30,000 messages", page)


def test_whoever_began_before_a_publish_is_told_of_it() -> None:
    client = staff()
    typed = form_of(client, at("queues"))
    publish("queues", max_backlog=3_000_000)
    answer = client.post(at("queues"), typed | {"queue_capacity": "20000"})
    assert answer.status_code == 409
    assert "bob saved first." in answer.content.decode()


# --- publishing ---------------------------------------------------------------------------------------------------


def test_a_draft_is_looked_at_and_published_with_a_reason() -> None:
    client = staff()
    answer = client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000", "review": ""})
    assert answer["Location"] == at("queues", "publish")
    page = client.get(at("queues", "publish")).content.decode()
    assert re.search(r"Queue capacity</th><td class=\"removed\">10,000 messages</td><td class=\"added\">20,000 messages", page)
    version = items.module_item("queues").draft_version
    assert client.post(at("queues", "publish"), {"comment": " ", "based_on": version}).status_code == 422
    assert client.post(at("queues", "publish"), {"comment": "More room", "based_on": version}).status_code == 302
    item = items.module_item("queues")
    assert item.current
    assert (item.draft, item.current.number, item.current.comment, item.current.author) == (None, 1, "More room", "user:ada")
    entry = AuditEntry.objects.filter(action="config.publish").get()
    assert (entry.actor, entry.ip) == ("user:ada", "127.0.0.1")


def test_a_draft_that_changed_while_it_was_looked_at_is_not_published() -> None:
    client = staff()
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000"})
    answer = client.post(at("queues", "publish"), {"comment": "now", "based_on": "0"})
    assert answer.status_code == 409
    assert items.module_item("queues").current is None


def test_saving_what_is_in_force_takes_the_draft_away() -> None:
    client = staff()
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000"})
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "10000"})
    assert items.module_item("queues").draft is None


def test_a_gray_release_is_started_widened_and_promoted() -> None:
    client = staff()
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000"})
    version = items.module_item("queues").draft_version
    say = {"comment": "try", "based_on": version, "reach": "some"}
    assert client.post(at("queues", "publish"), say | {"percent": "0", "labels": "nonsense"}).status_code == 422
    assert client.post(at("queues", "publish"), say | {"percent": "10", "labels": "zone=a, zone=b"}).status_code == 302
    item = items.module_item("queues")
    assert (item.current, item.gray_percent, item.gray_labels) == (None, 10, ["zone=a", "zone=b"])
    assert "Gray release v1" in client.get(at("queues")).content.decode()
    client.post(at("queues", "gray"), {"verb": "widen", "percent": "50", "labels": ""})
    client.post(at("queues", "gray"), {"verb": "promote", "comment": "fine"})
    item = items.module_item("queues")
    assert item.current
    assert (item.gray, item.current.comment, effective("queues")["queue_capacity"]) == (None, "fine", 20_000)


def test_a_gray_release_is_abandoned() -> None:
    client, item = staff(), items.module_item("queues")
    content = orjson.dumps(effective("queues") | {"queue_capacity": 500}).decode()
    releases.start_gray(item=item, content=content, labels=[], percent=50, comment="try", by=actor("user:bob"))
    client.post(at("queues", "gray"), {"verb": "abandon"})
    assert (items.module_item("queues").gray, effective("queues")["queue_capacity"]) == (None, 10_000)


def test_a_single_version_offers_nothing_to_compare() -> None:
    client = staff()
    publish("queues", queue_capacity=20_000)
    assert 'type="radio"' not in client.get(at("queues", "history")).content.decode()
    publish("queues", queue_capacity=30_000)
    assert client.get(at("queues", "history")).content.decode().count('type="radio"') == 4


def test_an_earlier_version_is_compared_and_brought_back() -> None:
    publish("queues", queue_capacity=20_000)
    publish("queues", queue_capacity=30_000)
    client = staff()
    page = client.get(at("queues", "compare") + "?from=2&to=1").content.decode()
    assert re.search(r"removed\">20,000 messages</td><td class=\"added\">30,000 messages", page)
    assert "v2" in client.get(at("queues", "history")).content.decode()
    assert client.post(at("queues", "release", 1), {"comment": ""}).status_code == 422
    assert client.post(at("queues", "release", 1), {"comment": "Too much"}).status_code == 302
    item = items.module_item("queues")
    assert item.current
    assert (item.current.number, item.current.action, effective("queues")["queue_capacity"]) == (3, "rollback", 20_000)


def test_a_module_goes_back_to_its_defaults_only_when_its_name_is_typed() -> None:
    publish("queues", queue_capacity=20_000)
    client = staff()
    assert client.post(at("queues", "remove"), {"name": "que"}).status_code == 422
    assert client.post(at("queues", "remove"), {"name": "queues"}).status_code == 302
    assert effective("queues")["queue_capacity"] == 10_000


def test_a_draft_is_replayed_where_its_module_can_tell_what_it_would_have_done(monkeypatch: pytest.MonkeyPatch) -> None:
    client, asked = staff(), []

    def replay(draft: Any, *, since: Any, until: Any, tenant_id: int | None) -> dict[str, Any]:
        asked.append((draft.value.queue_capacity, until - since, tenant_id))
        by_rule = [{"rule": "accept", "limited_messages": 1234}]
        return {
            "since": since,
            "until": until,
            "messages": 98765,
            "mean_wait_seconds": 1.5,
            "by_rule": by_rule,
            "notes": ["Not all of it."],
        }

    assert client.get(at("queues", "replay")).status_code == 404
    monkeypatch.setattr(hot.module("queues"), "what_if", replay)
    client.post(at("queues"), form_of(client, at("queues")) | {"queue_capacity": "20000"})
    for place in (at("queues"), at("queues", "publish")):
        assert at("queues", "replay") in client.get(place).content.decode()
    page = client.get(at("queues", "replay") + "?run=1&hours=6").content.decode()
    assert asked == [(20_000, timedelta(hours=6), None)]
    for said in ("98,765", "1.50 s", "Messages refused", "1,234", "Not all of it."):
        assert said in page


def test_a_draft_of_an_override_is_replayed_for_its_tenant_with_what_all_have_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    client, tenant, asked = staff(), make_tenant(), []

    def replay(draft: Any, *, tenant_id: int | None, **_span: Any) -> dict[str, Any]:
        asked.append((tenant_id, draft.of(tenant.pk).max_retries, draft.value.max_retries, draft.of(tenant.pk).base_seconds))
        return {"messages": 1, "notes": []}

    monkeypatch.setattr(hot.module("retry_policy"), "what_if", replay)
    publish("retry_policy", base_seconds=9)
    item = items.module_item("retry_policy", tenant=tenant)
    drafts.save_draft(item=item, content='{"max_retries": 7}', by=actor("user:bob"), based_on=0, now=timezone.now())
    page = client.get(at("retry_policy", "replay", tenant=tenant.slug) + "&run=1").content.decode()
    assert asked == [(tenant.pk, 7, 3, 9)]
    assert "Only this tenant&#x27;s traffic was replayed" in page


# --- a tenant's own values ----------------------------------------------------------------------------------------


def test_a_tenant_gets_only_the_ticked_fields_as_its_own() -> None:
    tenant, client = make_tenant(), staff()
    url = at("retry_policy", tenant=tenant.slug)
    typed = form_of(client, url)
    assert {"max_retries", "base_seconds", "max_seconds"} <= set(typed)
    assert "lease_seconds" not in typed
    client.post(url, typed | {"own:max_retries": "1", "max_retries": "7", "base_seconds": "99"})
    item = items.module_item("retry_policy", tenant=tenant)
    assert orjson.loads(item.draft or "") == {"max_retries": 7}
    version = item.draft_version
    client.post(at("retry_policy", "publish", tenant=tenant.slug), {"comment": "theirs", "based_on": version})
    assert str(tenant) in client.get(at("retry_policy", "tenants")).content.decode()
    assert "7" in form_of(client, url)["max_retries"]
    assert items.module_item("retry_policy").current is None


def test_a_module_that_is_the_same_for_all_has_no_page_for_a_tenant() -> None:
    tenant, client = make_tenant(), staff()
    assert client.get(at("queues", tenant=tenant.slug)).status_code == 404
    assert client.get(at("queues", "tenants")).status_code == 404
    assert client.get(at("nonsense")).status_code == 404


# --- free-form items ----------------------------------------------------------------------------------------------


def test_an_item_is_made_written_published_and_taken_out_of_force() -> None:
    client = staff()
    namespace = items.default_namespace(None)
    made = {"namespace": namespace.pk, "group": "SHOP", "data_id": "shop.yaml", "format": "yaml", "description": "The shop"}
    assert client.post(reverse("config:item-new"), made | {"data_id": "no spaces"}).status_code == 422
    url = client.post(reverse("config:item-new"), made)["Location"]
    assert client.post(url, form_of(client, url) | {"content": "a: [1"}).status_code == 422
    answer = client.post(url, form_of(client, url) | {"content": "a:\r\n  - 1\r\n", "review": ""})
    assert answer.status_code == 302
    assert "a:" in client.get(answer["Location"]).content.decode()
    item = ConfigItem.objects.get(data_id="shop.yaml")
    assert item.draft == "a:\n  - 1\n"
    client.post(answer["Location"], {"comment": "First", "based_on": item.draft_version})
    item.refresh_from_db()
    assert item.current
    assert item.current.content == "a:\n  - 1\n"
    page = client.get(reverse("config:items") + "?q=shop").content.decode()
    assert "shop.yaml" in page
    assert client.post(f"{url}remove/", {"name": "shop.yaml", "comment": "Gone"}).status_code == 302
    item.refresh_from_db()
    assert item.current is None


def test_items_are_listed_by_name_page_by_page_and_back_whatever_is_made_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "PAGE_SIZE", 2)
    client, namespace = staff(ConfigRight.VIEW), items.default_namespace(None)

    def make(name: str, group: str = "G") -> None:
        items.create_item(namespace=namespace, group=group, data_id=name, format="text", by=actor("user:bob"))

    def shown(url: str) -> tuple[list[str], str, str]:
        text = client.get(reverse("config:items") + url).content.decode()
        links = {rel: (re.findall(rf'href="([^"]*)" rel="{rel}"', text) or [""])[0].replace("&amp;", "&") for rel in ("prev", "next")}
        return re.findall(r'<th scope="row"><a href="[^"]*"><span class="first">([^<]*)</span></a>', text), links["prev"], links["next"]

    for name in ("e", "c", "a"):
        make(name)
    make("b", group="H")
    names, newer, older = shown("?q=")
    assert (names, newer) == (["a", "c"], "")
    make("a2")  # before the next page: nothing on it moves
    names, newer, older = shown(older)
    assert (names, older) == (["e", "b"], "")
    assert shown(newer)[0] == ["a2", "c"]
    assert shown(shown(newer)[1]) == (["a"], "", shown(shown(newer)[1])[2])
    assert shown("?after=nonsense")[0] == ["a", "a2"]


def test_items_are_narrowed_by_chips_and_taken_as_a_file_without_their_texts() -> None:
    client, namespace = staff(ConfigRight.VIEW), items.default_namespace(None)
    for group, name in (("SHOP", "prices"), ("SHOP", "names"), ("DESK", "hours")):
        item = items.create_item(namespace=namespace, group=group, data_id=name, format="text", by=actor("user:bob"))
        releases.publish(item=item, content="secret text", comment="", by=actor("user:bob"))
    answer = client.get(reverse("config:items"), {"group": "SHOP"})
    chip = answer.context["chips"][1]
    assert (str(chip.title), chip.chosen.label, [choice.label for choice in chip.choices]) == ("Group", "SHOP", ["DESK", "SHOP"])
    assert "hours" not in answer.content.decode()
    assert answer.context["csv_url"] == "?group=SHOP&csv=1"
    written = client.get(reverse("config:items"), {"group": "SHOP", "csv": "1"})
    assert written["Content-Type"] == "text/csv; charset=utf-8"
    lines = b"".join(written.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[0] for line in lines[1:]] == ["names", "prices"]
    assert "secret text" not in "".join(lines)
    assert AuditEntry.objects.get(action="list.export").detail == {"filters": ["group"]}


def test_the_history_has_pages_and_is_taken_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "PAGE_SIZE", 2)
    for number in range(1, 6):
        publish("queues", hold_seconds=number / 10)
    client, address = staff(ConfigRight.VIEW), at("queues", "history")
    first = client.get(address).context
    second = client.get(address + first["older"]).context
    assert [[row.number for row in page["releases"]] for page in (first, second)] == [[5, 4], [3, 2]]
    assert [row.number for row in client.get(address + second["newer"]).context["releases"]] == [5, 4]
    lines = b"".join(client.get(address, {"csv": "1"}).streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 6
    assert "because" in lines[1]


def test_the_format_and_the_description_of_an_item_are_changed_afterwards() -> None:
    namespace = items.default_namespace(None)
    item = items.create_item(namespace=namespace, group="G", data_id="d", format="text", by=actor("user:bob"))
    releases.publish(item=item, content="a: [1", comment="", by=actor("user:bob"))
    client, url = staff(ConfigRight.EDIT), reverse("config:item-about", args=[item.pk])
    page = client.post(url, {"format": "yaml", "description": "Prices"}, follow=True).content.decode()
    assert "Version 1 is in force" in page
    page = client.post(url, {"format": "properties", "description": "Prices"}, follow=True).content.decode()
    item.refresh_from_db()
    assert (item.format, item.description) == ("properties", "Prices")
    assert '<option value="properties" selected>' in page
    assert staff(ConfigRight.VIEW, "eve").post(url, {"format": "text"}).status_code == 403


def test_the_page_of_an_override_tells_which_instances_run_it() -> None:
    tenant = make_tenant("Shop", slug="shop")
    item = items.module_item("retry_policy", tenant=tenant)
    releases.publish(item=item, content='{"max_retries": 1}', comment="", by=actor("user:bob"))
    key, who, version = instances.key_of("retry_policy", tenant.pk), instances.Identity("here", "web"), item.current
    assert version is not None
    state = instances.State("database", 1, {}, {}, {key: instances.Version(1, version.md5, 40)})
    instances.report(who=who, state=state, started_at=timezone.now())
    client = staff()
    told = client.get(at("retry_policy", "live", tenant="shop")).json()["rows"]
    assert [(row["version"], row["state"], row["lag_ms"]) for row in told if row["place"].startswith("here:")] == [("v1", "applied", 40)]
    wrong = instances.State("database", 1, {}, {key: "version 2: not valid"}, {key: instances.Version(1, version.md5)})
    instances.report(who=who, state=wrong, started_at=timezone.now())
    assert "version 2: not valid" in client.get(at("retry_policy", tenant="shop")).content.decode()
    assert "version 2: not valid" in client.get(reverse("config:instances")).content.decode()
    assert client.get(at("retry_policy", "tenants")).status_code == 200
    assert any(run["errors"].get("retry_policy@shop") for run in selectors.reported_instances())
    assert client.get(at("retry_policy", "reach", tenant="shop") + "&percent=100").json()["text"]


def test_a_module_is_not_reached_as_an_item() -> None:
    item = items.module_item("queues")
    assert staff().get(reverse("config:item-edit", args=[item.pk])).status_code == 404


def test_those_who_wrote_and_published_are_named_wherever_they_are_shown() -> None:
    key = make_key(make_tenant(is_operator=True), name="Pipeline")[0]
    User.objects.create(username="bob", first_name="Bob", last_name="Byrne")
    publish("queues", queue_capacity=20_000, author=f"key:{key.prefix}")
    item = items.module_item("queues")
    drafts.save_draft(item=item, content='{"queue_capacity": 30000}', based_on=item.draft_version, by=actor("user:bob"), now=timezone.now())
    client = staff(ConfigRight.VIEW)
    pages = {
        "overview": (reverse("config:overview"), "Pipeline · API key"),
        "module": (reverse("config:module-edit", args=["queues"]), "Pipeline · API key"),
        "draft": (reverse("config:module-edit", args=["queues"]), "Bob Byrne"),
        "history": (reverse("config:module-history", args=["queues"]), "Pipeline · API key"),
        "release": (reverse("config:module-release", args=["queues", 1]), "Pipeline · API key"),
    }
    shown = {name: said in client.get(address).content.decode() for name, (address, said) in pages.items()}
    assert shown == dict.fromkeys(pages, True)


def test_the_public_namespace_is_shown_from_the_start_and_stored_with_its_first_item() -> None:
    ConfigNamespace.objects.filter(slug="public").delete()
    client, new = staff(), reverse("config:item-new")
    assert "<code>public</code>" in client.get(reverse("config:namespaces")).content.decode()
    assert '<option value="" selected>public' in client.get(new).content.decode()
    assert not ConfigNamespace.objects.filter(slug="public").exists(), "nothing was stored by looking"
    typed = {"namespace": "", "group": "G", "data_id": "shop.yaml", "format": "yaml"}
    assert client.post(new, typed).status_code == 302
    made = ConfigNamespace.objects.get(slug="public", tenant=None)
    assert made.items.get().data_id == "shop.yaml"
    assert f'<option value="{made.pk}" selected>public' in client.get(new).content.decode()


def test_namespaces_are_made_and_deleted_while_they_are_empty() -> None:
    client, tenant = staff(), make_tenant()
    url = reverse("config:namespaces")
    assert client.post(url, {"slug": "production", "name": "Production", "tenant": tenant.pk}).status_code == 302
    made = ConfigNamespace.objects.get(slug="production")
    assert made.tenant == tenant
    assert client.post(url, {"slug": "production", "tenant": tenant.pk}).status_code == 422
    item = items.create_item(namespace=made, group="G", data_id="d", format="text", by=actor("user:bob"))
    releases.publish(item=item, content="x", comment="", by=actor("user:bob"))
    client.post(url, {"delete": made.pk})
    assert ConfigNamespace.objects.filter(slug="production").exists()
    releases.remove(item=item, comment="", by=actor("user:bob"))
    client.post(url, {"delete": made.pk})
    assert not ConfigNamespace.objects.filter(slug="production").exists()


def test_an_export_is_imported_after_a_look_at_what_it_would_do() -> None:
    publish("queues", queue_capacity=20_000)
    client = staff()
    file = client.get(reverse("config:export") + "?module=queues").content
    publish("queues", queue_capacity=30_000)
    url = reverse("config:transfer")
    page = client.post(url, {"file": SimpleUploadedFile("c.json", file), "policy": "abort"}).content.decode()
    assert "differs here" in page
    data = re.search(r'name="data" value="([^"]+)"', page)
    assert data
    assert effective("queues")["queue_capacity"] == 30_000
    assert client.post(url, {"data": data[1], "policy": "abort", "apply": "1"}).status_code == 409
    assert client.post(url, {"data": data[1], "policy": "overwrite", "apply": "1"}).status_code == 302
    assert effective("queues")["queue_capacity"] == 20_000
    assert client.post(url, {"file": SimpleUploadedFile("c.json", b"{}"), "policy": "abort"}).status_code == 422


# --- locks --------------------------------------------------------------------------------------------------------


def test_a_lock_is_seen_and_freed_once_its_name_is_typed() -> None:
    client, url = staff(), reverse("config-locks")
    with locks.simple("test-console", lease_seconds=30) as held:
        page = client.get(url).content.decode()
        assert "test-console" in page
        assert str(held.fencing_token) in page
        assert client.post(url, {"lock": "test-console", "name": "test"}).status_code == 422
        assert client.post(url, {"lock": "test-console", "name": "test-console"}).status_code == 302
        assert "test-console" not in client.get(url).content.decode().partition("all-locks")[2]
    assert AuditEntry.objects.get(action="lock.force_release").actor == "user:ada"
    assert staff(ConfigRight.EDIT, "eve").post(url, {"lock": "x", "name": "x"}).status_code == 403


# --- lists stay cheap ---------------------------------------------------------------------------------------------


def test_the_overview_asks_the_same_few_queries_however_much_was_published(django_assert_max_num_queries: Any) -> None:
    for name in MODULES[:4]:
        item = items.module_item(name)
        drafts.save_draft(item=item, content="{}", based_on=0, by=actor("user:bob"), now=timezone.now())
    client = staff()
    with django_assert_max_num_queries(6):
        page = client.get(reverse("config:overview")).content.decode()
    assert page.count("module-card") == len(MODULES)
    assert client.get(reverse("config:overview") + "?q=burst").content.decode().count("module-card") == 0
    assert client.get(reverse("config:overview") + "?q=queue+capacity").content.decode().count("module-card") == 1


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        ("flow_rules", "1,000 requests/s · 500 at once · 10,000 requests in 60 s"),
        ("alarms", "Messages waiting in the database above 99,000 for 60 s · Warning"),
    ],
)
def test_the_line_of_an_entry_says_what_it_does(module: str, shown: str) -> None:
    assert shown in staff().get(at(module)).content.decode()


def test_a_channel_is_chosen_by_its_name_and_entries_without_an_order_are_not_moved() -> None:
    shown = staff().get(at("message_limits")).content.decode()
    assert '<option value="email" selected>E-mail</option>' in shown
    assert '<span class="name">E-mail</span>' in shown
    assert 'name="remove-block"' in shown
    assert 'name="move-up"' not in shown
