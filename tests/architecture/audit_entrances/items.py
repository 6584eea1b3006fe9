"""Free-form items of the configuration, and their namespaces."""

import pytest
from django.utils import timezone

from configcenter.services import drafts, items, releases
from tests.architecture.audit_entrances.world import COMMAND, KEY, USER, Event, World
from tests.builders import TESTER


def name_of(w: World) -> str:
    return items.name_of(w.own.item)


def draft_of_item(w: World) -> None:
    drafts.save_draft(item=w.own.item, content="of: third", based_on=w.own.item.draft_version, now=timezone.now(), by=TESTER)


def gray_item(w: World) -> None:
    releases.start_gray(item=w.own.item, content="of: some", comment="", labels=["zone=b"], percent=0, by=TESTER)


def version(w: World) -> int:
    w.own.item.refresh_from_db()
    return w.own.item.draft_version


def edit_item(w: World) -> None:
    w.page("config:item-edit", w.own.item.pk, content="of: third", based_on=version(w), release=2, began="of: A still")


def new_item(w: World) -> None:
    w.page("config:item-new", namespace=w.own.item.namespace.pk, group="new", data_id="new.yaml", format="yaml")


def by_file(w: World, *arguments: str) -> None:
    """Run a command of an item on a text from the standard input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("configcenter.management.items.content_of", lambda _file: "of: third")
        w.config("item", *arguments)


def as_item(w: World, verb: str, *more: str) -> None:
    name, *options = w.item_options
    w.config("item", *verb.split(), name, *more, *options)


def gray_of_item(verb: str) -> Event:
    return Event(
        f"config.gray.{verb}",
        name_of,
        (
            (USER, lambda w: w.page("config:item-gray", w.own.item.pk, verb=verb)),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/gray/{verb}/")),
            (COMMAND, lambda w: as_item(w, f"gray {verb}")),
        ),
        before=gray_item,
    )


ITEMS = [
    Event(
        "config.create",
        lambda w: f"{w.own.item.namespace.slug}/new/new.yaml",
        (
            (USER, new_item),
            (
                KEY,
                lambda w: w.call("POST", "config/items/", {"namespace": w.own.item.namespace.slug, "group": "new", "data_id": "new.yaml"}),
            ),
        ),
    ),
    Event(
        "config.change",
        name_of,
        (
            (USER, lambda w: w.page("config:item-about", w.own.item.pk, format="yaml", description="mine")),
            (KEY, lambda w: w.call("PATCH", f"{w.item_path}/", {"description": "mine"})),
            (COMMAND, lambda w: as_item(w, "set", "--description", "mine")),
        ),
    ),
    Event(
        "config.draft",
        name_of,
        (
            (USER, edit_item),
            (KEY, lambda w: w.call("PUT", f"{w.item_path}/draft/", {"content": "of: third", "based_on": version(w)})),
            (COMMAND, lambda w: by_file(w, "set", w.item_options[0], "FILE", *w.item_options[1:])),
        ),
    ),
    Event(
        "config.draft.discard",
        name_of,
        (
            (USER, lambda w: w.page("config:item-discard", w.own.item.pk)),
            (KEY, lambda w: w.call("DELETE", f"{w.item_path}/draft/")),
            (COMMAND, lambda w: as_item(w, "discard")),
        ),
        before=draft_of_item,
    ),
    Event(
        "config.publish",
        name_of,
        (
            (USER, lambda w: w.page("config:item-publish", w.own.item.pk, comment="now", based_on=version(w))),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/publish/")),
            (COMMAND, lambda w: as_item(w, "publish")),
        ),
        before=draft_of_item,
    ),
    Event(
        "config.rollback",
        name_of,
        (
            (USER, lambda w: w.page("config:item-release", w.own.item.pk, 1, comment="back")),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/rollback/", {"version": 1})),
            (COMMAND, lambda w: as_item(w, "rollback", "1")),
        ),
    ),
    Event(
        "config.remove",
        name_of,
        (
            (USER, lambda w: w.page("config:item-remove", w.own.item.pk, name=w.own.item.data_id)),
            (KEY, lambda w: w.call("DELETE", f"{w.item_path}/")),
            (COMMAND, lambda w: as_item(w, "delete")),
        ),
    ),
    *(gray_of_item(verb) for verb in ("promote", "abandon")),
    Event(
        "config.namespace.create",
        lambda w: "drawer",
        (
            (USER, lambda w: w.page("config:namespaces", tenant=w.own.tenant.pk, slug="drawer")),
            (KEY, lambda w: w.call("POST", "config/namespaces/", {"namespace": "drawer"})),
            (COMMAND, lambda w: w.config("namespace", "create", "drawer", "--tenant", w.own.tenant.slug)),
        ),
    ),
    Event(
        "config.namespace.delete",
        lambda w: w.own.empty_drawer,
        (
            (
                USER,
                lambda w: w.page("config:namespaces", delete=items.find_namespace(tenant=w.own.tenant, slug=w.own.empty_drawer).pk),
            ),
            (KEY, lambda w: w.call("DELETE", f"config/namespaces/{w.own.empty_drawer}/")),
            (COMMAND, lambda w: w.config("namespace", "delete", w.own.empty_drawer, "--tenant", w.own.tenant.slug)),
        ),
    ),
]
