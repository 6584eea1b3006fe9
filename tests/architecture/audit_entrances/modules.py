"""Configuration modules: the installation's values, the overrides of a tenant, and imports of a file."""

import base64
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.urls import reverse
from django.utils import timezone

from configcenter import selectors
from configcenter.models import ConfigItem
from configcenter.services import drafts, items, releases, transfer
from tests.architecture.audit_entrances.world import COMMAND, KEY, USER, Event, World
from tests.builders import TESTER
from tests.configcenter.forms import posted

SOME = {"labels": ["zone=b"], "percent": 0}


@dataclass(frozen=True)
class Values:
    """What is changed: a field of a module, for the installation or as the override of the world's tenant."""

    module: str
    field: str
    number: int
    is_override: bool = False

    @property
    def api(self) -> str:
        return f"config/modules/{self.module}{'/override' if self.is_override else ''}"

    def content(self, add: int = 0) -> str:
        return json.dumps({self.field: self.number + add})

    def item(self, w: World) -> ConfigItem:
        return items.module_item(self.module, tenant=w.own.tenant if self.is_override else None)

    def name(self, w: World) -> str:
        return items.name_of(self.item(w))

    def tenant(self, w: World) -> int | None:
        return w.own.tenant.pk if self.is_override else None

    def address(self, w: World, verb: str, *args: Any) -> str:
        found = reverse(f"config:module-{verb}", args=[self.module, *args])
        return f"{found}?tenant={w.own.tenant.slug}" if self.is_override else found

    def page(self, w: World, page: str, /, *args: Any, **sent: Any) -> None:
        w.post(self.address(w, page, *args), **sent)

    def config(self, w: World, *arguments: str) -> None:
        w.config(*arguments, *(["--tenant", w.own.tenant.slug] if self.is_override else []))

    # --- what must be there before ---------------------------------------------------------------------------

    def release(self, w: World, *, number: int = 1) -> None:
        for add in range(number):
            releases.publish(item=self.item(w), content=self.content(add), comment="", by=TESTER)

    def gray(self, w: World) -> None:
        releases.start_gray(item=self.item(w), content=self.content(), comment="", labels=["zone=b"], percent=0, by=TESTER)

    def draft(self, w: World) -> None:
        drafts.save_draft(item=self.item(w), content=self.content(), based_on=0, now=timezone.now(), by=TESTER)

    def edit(self, w: World) -> None:
        shown = posted(w.staff.get(self.address(w, "edit")).content.decode())
        own = {f"own:{self.field}": "on"} if self.is_override else {}
        self.page(w, "edit", **{**shown, **own, self.field: str(self.number)})

    # --- events ----------------------------------------------------------------------------------------------

    def end_of_gray(self, verb: str) -> Event:
        return Event(
            f"config.gray.{verb}",
            self.name,
            (
                (USER, lambda w: self.page(w, "gray", verb=verb)),
                (KEY, lambda w: w.call("POST", f"{self.api}/gray/{verb}/")),
                (COMMAND, lambda w: self.config(w, "gray", verb, self.module)),
            ),
            self.tenant,
            before=self.gray,
        )

    def events(self) -> list[Event]:
        return [
            Event(
                "config.draft",
                self.name,
                (
                    (USER, self.edit),
                    (KEY, lambda w: w.call("PUT", f"{self.api}/draft/", {"content": {self.field: self.number}, "based_on": 0})),
                    (COMMAND, lambda w: self.config(w, "set", self.module, f"{self.field}={self.number}")),
                ),
                self.tenant,
            ),
            Event(
                "config.draft.discard",
                self.name,
                (
                    (USER, lambda w: self.page(w, "discard")),
                    (KEY, lambda w: w.call("DELETE", f"{self.api}/draft/")),
                    (COMMAND, lambda w: self.config(w, "discard", self.module)),
                ),
                self.tenant,
                before=self.draft,
            ),
            Event(
                "config.publish",
                self.name,
                (
                    (USER, lambda w: self.page(w, "publish", comment="now", based_on="1")),
                    (KEY, lambda w: w.call("POST", f"{self.api}/publish/")),
                    (COMMAND, lambda w: self.config(w, "publish", self.module)),
                ),
                self.tenant,
                before=self.draft,
            ),
            Event(
                "config.rollback",
                self.name,
                (
                    (USER, lambda w: self.page(w, "release", 1, comment="back")),
                    (KEY, lambda w: w.call("POST", f"{self.api}/rollback/", {"version": 1})),
                    (COMMAND, lambda w: self.config(w, "rollback", self.module, "1")),
                ),
                self.tenant,
                before=lambda w: self.release(w, number=2),
            ),
            Event(
                "config.remove",
                self.name,
                (
                    (USER, lambda w: self.page(w, "remove", name=self.module)),
                    (KEY, lambda w: w.call("DELETE", f"{self.api}/")),
                ),
                self.tenant,
                before=self.release,
            ),
            Event(
                "config.gray.start",
                self.name,
                (
                    (USER, lambda w: self.page(w, "publish", comment="now", based_on="1", reach="some", labels="zone=b")),
                    (KEY, lambda w: w.call("POST", f"{self.api}/gray/", SOME)),
                    (COMMAND, lambda w: self.config(w, "gray", "begin", self.module, "--label", "zone=b")),
                ),
                self.tenant,
                before=self.draft,
            ),
            Event(
                "config.gray.widen",
                self.name,
                (
                    (USER, lambda w: self.page(w, "gray", verb="widen", labels="zone=b", percent="50")),
                    (KEY, lambda w: w.call("PUT", f"{self.api}/gray/", {**SOME, "percent": 50})),
                    (COMMAND, lambda w: self.config(w, "gray", "widen", self.module, "--percent", "50")),
                ),
                self.tenant,
                before=self.gray,
            ),
            *(self.end_of_gray(verb) for verb in ("promote", "abandon")),
            self.import_of_a_file(),
        ]

    # --- imports ---------------------------------------------------------------------------------------------

    def document(self, w: World) -> bytes:
        """Return a file with a value that differs from the one in force, which `release` has published."""
        found = json.loads(transfer.export(items=selectors.everything(None).filter(pk=self.item(w).pk)))
        (entry,) = found["items"]
        del entry["md5"]  # it is that of the other value
        entry["content"] = self.content(add=1)
        return json.dumps(found).encode()

    def import_in_console(self, w: World) -> None:
        w.page("config:transfer", data=base64.b64encode(self.document(w)).decode(), policy="overwrite", apply="1")

    def import_over_api(self, w: World) -> None:
        w.call("POST", "config/import/", {"document": json.loads(self.document(w)), "policy": "overwrite"})

    def import_by_command(self, w: World) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "configuration.json"
            file.write_bytes(self.document(w))
            w.config("import", str(file), "--policy", "overwrite")

    def import_of_a_file(self) -> Event:
        ways = ((USER, self.import_in_console), (KEY, self.import_over_api), (COMMAND, self.import_by_command))
        return Event("config.import", self.name, ways, self.tenant, before=self.release)


MODULES = Values("queues", "queue_capacity", 20_000).events()
OVERRIDES = Values("retry_policy", "max_retries", 2, is_override=True).events()
