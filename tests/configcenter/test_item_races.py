"""The format of an item is changed while a text of it comes into force: in either order, the text is written in the format that stands."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from django.db import connection, transaction

from configcenter.models import ConfigItem
from configcenter.nacos import items as nacos
from configcenter.nacos.identity import Who
from configcenter.services import items, releases, transfer
from posthaste.lib.problems import Conflict, Invalid
from tests import crowds
from tests.builders import actor
from tests.patience import Patience

pytestmark = pytest.mark.django_db(transaction=True)
YAML, JSON = "a: 1\n", '{"a": 1}'
BY: dict[str, Any] = {"comment": "", "by": actor("user:ada")}


@pytest.fixture(autouse=True)
def row_locks() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's transactions begin with the only lock there is")


def item() -> ConfigItem:
    """Written in JSON and called text, so that it may become either: a format is changed only to one that fits."""
    namespace = items.default_namespace(None)
    made = items.create_item(namespace=namespace, group="G", data_id="d", format="text", by=actor("user:ada"))
    releases.publish(item=made, content=JSON, **BY)
    return made


def fresh() -> ConfigItem:
    return items.get_item(namespace=items.default_namespace(None), group="G", data_id="d")


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def meet(*calls: Callable[[], object]) -> list[str]:
    """Let calls begin one after the other and wait for the item's row, and return the errors they end with."""
    errors: list[str] = []

    def one(call: Callable[[], object]) -> None:
        try:
            call()
        except (Invalid, Conflict) as error:
            errors.append(error.code)

    begun = []
    with transaction.atomic():
        list(ConfigItem.objects.select_for_update())
        for number, call in enumerate(calls, 1):
            begun.append(crowds.start(partial(one, call)))
            patience = Patience(crowds.JOIN_SECONDS)
            while waiting() < number:
                assert not patience.is_over(), "it waits for nobody"
    for caller in begun:
        caller.join()
    return errors


def to_json() -> None:
    items.change_item(item=fresh(), format="json", by=actor("user:ada"))


def publish() -> None:
    releases.publish(item=fresh(), content=YAML, **BY)


def publish_as_yaml() -> None:
    releases.publish(item=fresh(), content=YAML, format="yaml", **BY)


def publish_over_nacos() -> None:
    who = Who(actor("user:ada"), tenant_id=None, reaches_installation=True, scopes=frozenset())
    nacos.publish(who=who, fields={"dataId": "d", "group": "G", "content": YAML, "type": "yaml"}, ip="")


def import_file() -> None:
    entry = {"namespace": "public", "group": "G", "data_id": "d", "content": YAML, "format": "yaml"}
    document = {"kind": transfer.KIND, "version": transfer.VERSION, "items": [entry]}
    transfer.import_(data=orjson.dumps(document), policy="overwrite", dry_run=False, by=actor("user:ada"))


def roll_back() -> None:
    releases.rollback(item=fresh(), to=fresh().releases.get(number=2), **BY)


def promote() -> None:
    releases.promote_gray(item=fresh(), **BY)


@pytest.mark.parametrize("comes_first", ["format", "text"])
@pytest.mark.parametrize("bring", [publish, publish_as_yaml, publish_over_nacos, import_file, roll_back, promote])
def test_what_is_in_force_is_written_in_the_format_of_the_item(bring: Callable[[], None], comes_first: str) -> None:
    made = item()
    if bring is roll_back:
        releases.publish(item=made, content=YAML, **BY)  # what is gone back to
        releases.publish(item=made, content='{"a": 2}', **BY)
    if bring is promote:
        releases.start_gray(item=made, content=YAML, labels=["zone=b"], percent=0, **BY)
    errors = meet(*([to_json, bring] if comes_first == "format" else [bring, to_json]))
    now = fresh()
    assert now.current is not None
    items.validate(now, now.current.content)
    # One of the two is refused, but where the publish comes second and brings its own format.
    assert len(errors) == (0 if now.format == "yaml" and comes_first == "format" else 1), (now.format, errors)
