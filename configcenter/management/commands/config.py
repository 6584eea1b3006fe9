"""The `manage.py config` command: the configuration from a shell.

Verbs: get, set, discard, publish, gray, rollback, history, diff, export, import, instances, item, namespace.

Exit status: 0 done · 1 something is away · 2 wrong usage · 3 invalid · 4 conflict with the current state · 5 not found.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.management import gray, items
from configcenter.models import ConfigItem
from configcenter.services import drafts, fields, releases, transfer
from configcenter.services import items as config_items
from posthaste.lib import redis
from posthaste.lib.problems import Conflict, Invalid, NotFound, Problem

STATUS: tuple[tuple[type[Problem], int], ...] = ((Invalid, 3), (Conflict, 4), (NotFound, 5), (Problem, 1))


class Command(BaseCommand):
    help = "Shows, edits, publishes and moves the configuration that changes while everything runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def verb(name: str, text: str, *, module: bool = True, what: tuple[str, ...] = ()) -> Any:
            made = verbs.add_parser(name, help=text, description=text)
            if what:
                made.add_argument("what", choices=what)
            if module:
                made.add_argument("module", help="name of a module, such as retry_policy")
                made.add_argument("--tenant", help="short name: the override of this tenant instead of the installation's value")
            made.add_argument("--json", action="store_true", help="answer as JSON, for programs")
            return made

        get = verb("get", "Shows what is in force; without a module, how all of them stand.", module=False)
        get.add_argument("module", nargs="?", help="name of a module, or of a field in it: retry_policy.max_retries")
        get.add_argument("--tenant", help="short name: the override of this tenant")
        get.add_argument("--draft", action="store_true", help="the draft instead")
        change = verb("set", "Changes fields of the draft, which begins as what is in force.")
        change.add_argument("changes", nargs="+", metavar="FIELD=VALUE", help="such as max_threads=200 or rules[0].per_second=50")
        discard = verb("discard", "Throws the draft away.")
        publish = verb("publish", "Brings the draft into force everywhere.")
        rollback = verb("rollback", "Brings an earlier version into force again.")
        rollback.add_argument("version", type=int)
        for made in (publish, rollback):
            made.add_argument("-m", "--comment", default="", help="why, for those who read the history")
        steer = verb("gray", "Brings the draft to some instances first, then to all or none.", what=gray.VERBS)
        gray.add_arguments(steer)
        history = verb("history", "Lists the releases, the newest first.")
        history.add_argument("--limit", type=int, default=20)
        diff = verb("diff", "Compares versions: the draft with what is in force, or two releases.")
        diff.add_argument("before", nargs="?", type=int, help="version; default: what is in force")
        diff.add_argument("after", nargs="?", type=int, help="version; default: the draft")
        export = verb("export", "Writes what is in force as one JSON document: modules, overrides and free-form items.", module=False)
        export.add_argument("modules", nargs="*", metavar="MODULE", help="only these modules and their overrides")
        export.add_argument("--namespace", action="append", default=[], help="only these namespaces of items; may be given several times")
        export.add_argument("--tenant", help="short name: only what is this tenant's own")
        export.add_argument("-o", "--output", type=Path, help="file; default: standard output")
        read = verb("import", "Publishes what an exported document says, all of it or nothing.", module=False)
        read.add_argument("file", help="the document; - for standard input")
        read.add_argument("--policy", choices=transfer.POLICIES, default="abort", help="where something else is in force; default: abort")
        read.add_argument("--dry-run", action="store_true", help="only tell what would happen")
        read.add_argument("-m", "--comment", default="", help="why, for those who read the history")
        for made in (change, discard, publish, rollback, steer, read):
            items.add_author(made)
        verb("instances", "Shows which processes run which versions.", module=False)
        items.add_arguments(verbs)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        self.as_json = options["json"]
        self.by = Actor.command("config", author=options.get("author") or "")
        try:
            getattr(self, f"_{verb}")(options)
        except Problem as error:
            status = next(status for kind, status in STATUS if isinstance(error, kind))
            wrong = [f"{entry['field']}: {entry['message']}" if entry["field"] else entry["message"] for entry in error.errors]
            said = [] if wrong and not error.detail else [str(error.detail or error.title)]
            raise CommandError("\n".join(said + wrong), returncode=status) from None
        except redis.Unavailable as error:
            raise CommandError(f"Redis is away: {error}") from None

    def _say(self, data: Any, text: str) -> None:
        if self.as_json:
            text = orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode()
        self.stdout.write(text.rstrip("\n"))

    def _row(self, options: dict[str, Any], name: str = "") -> ConfigItem:
        """Return the free-form item, module or override that the arguments name."""
        if "data_id" in options:
            return items.find(options)
        return config_items.module_item(name or options["module"], tenant=items.tenant_of(options))

    # --- one method a verb ---------------------------------------------------------------------------------------------

    def _get(self, options: dict[str, Any]) -> None:
        if not options["module"]:
            self._overview()
            return
        name, _dot, path = options["module"].partition(".")
        item = self._row(options, name)
        if options["draft"]:
            if item.draft is None:
                raise NotFound(f"There is no draft of {config_items.name_of(item)}.")
            text = item.draft
        else:
            text = config_items.effective(item)
        if path:
            found = fields.read(orjson.loads(text), path)
            self._say(found, found if isinstance(found, str) else orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        else:
            self.stdout.write(text.rstrip("\n"))

    def _overview(self) -> None:
        rows = [
            {
                "module": state.handle.name,
                "version": state.number,
                "at": state.at,
                "author": state.author,
                "draft": state.has_draft,
                "gray": state.gray.number if state.gray else None,
                "running": state.running,
                "instances": state.expected,
                "slowest_ms": state.slowest_ms,
            }
            for state in selectors.module_overview()
        ]
        lines = [
            f"{row['module']:18} v{row['version']:<4} {row['running']} of {row['instances']} instances"
            + ("  draft" if row["draft"] else "")
            + (f"  gray v{row['gray']}" if row["gray"] else "")
            for row in rows
        ]
        self._say(rows, "\n".join(lines))

    def _set(self, options: dict[str, Any]) -> None:
        item = self._row(options)
        try:
            value = orjson.loads(config_items.effective(item) if item.draft is None else item.draft)
        except orjson.JSONDecodeError:
            raise Conflict("The draft is no JSON; discard it first.") from None
        for change in options["changes"]:
            path, equals, text = change.partition("=")
            if not equals:
                raise CommandError(f"{change} is not of the form FIELD=VALUE.", returncode=2)
            fields.assign(value, path, fields.written(text))
        content = orjson.dumps(value).decode()
        config_items.validate(item, content)  # a shell has no page that marks what is wrong in a draft: nothing wrong is kept
        saved = drafts.save_draft(item=item, content=content, based_on=item.draft_version, by=self.by, now=timezone.now())
        self._say({"draft_version": saved.draft_version}, f"Draft {saved.draft_version} of {config_items.name_of(item)}. Not in force yet.")

    def _discard(self, options: dict[str, Any]) -> None:
        item = drafts.discard_draft(item=self._row(options), by=self.by)
        self._say({"draft_version": item.draft_version}, f"{config_items.name_of(item)} has no draft.")

    def _publish(self, options: dict[str, Any]) -> None:
        release = releases.publish(item=self._row(options), comment=options["comment"], by=self.by)
        self._say(items.as_dict(release), f"Version {release.number} is in force.")

    def _gray(self, options: dict[str, Any]) -> None:
        gray.run(item=self._row(options), options=options, by=self.by, say=self._say)

    def _rollback(self, options: dict[str, Any]) -> None:
        item = self._row(options)
        to = selectors.release(item, options["version"])
        release = releases.rollback(item=item, to=to, comment=options["comment"], by=self.by)
        self._say(items.as_dict(release), f"Version {release.number} is in force, with the text of version {to.number}.")

    def _history(self, options: dict[str, Any]) -> None:
        item = self._row(options)
        found = list(selectors.history(item)[: max(options["limit"], 0)])
        lines = [
            f"v{release.number:<4} {release.at:%Y-%m-%d %H:%M:%S} {release.action:9} {release.author:20} {release.comment}"
            + ("  <- in force" if release.pk == item.current_id else "  <- gray" if release.pk == item.gray_id else "")
            for release in found
        ]
        self._say([items.as_dict(release) for release in found], "\n".join(lines) or "Nothing was published yet.")

    def _diff(self, options: dict[str, Any]) -> None:
        item, before, after = self._row(options), options["before"], options["after"]
        selectors.must_compare(item)
        old = config_items.effective(item) if before is None else selectors.release(item, before).content
        if after is not None:
            new = selectors.release(item, after).content
        else:
            new = item.draft if item.draft is not None else config_items.effective(item)
        lines = selectors.diff(old, new)
        marks = {"same": " ", "removed": "-", "added": "+", "gap": "…"}
        self._say(
            [{"kind": line.kind, "text": line.text, "before": line.before, "after": line.after} for line in lines],
            "\n".join(f"{marks[line.kind]} {line.text}" for line in lines) or "No difference.",
        )

    def _export(self, options: dict[str, Any]) -> None:
        rows = items.chosen(modules=options["modules"], namespaces=options["namespace"], tenant=items.tenant_of(options))
        document = transfer.export(items=rows)
        if options["output"]:
            options["output"].write_bytes(document)
            self._say({"items": len(orjson.loads(document)["items"])}, f"Written to {options['output']}.")
        else:
            self.stdout.write(document.decode().rstrip("\n"))

    def _import(self, options: dict[str, Any]) -> None:
        try:
            data = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}", returncode=2) from None
        report = transfer.import_(data=data, policy=options["policy"], dry_run=options["dry_run"], by=self.by, comment=options["comment"])
        lines = [f"{entry.outcome:10} {entry.item}{_wrong(entry.errors)}" for entry in report.items]
        lines.append("Nothing was changed: this was a trial." if report.is_dry_run else "Done.")
        data_out = [
            {"item": entry.item, "outcome": entry.outcome, "version": entry.version, "errors": entry.errors} for entry in report.items
        ]
        self._say({"dry_run": report.is_dry_run, "items": data_out}, "\n".join(lines))

    def _instances(self, options: dict[str, Any]) -> None:
        found = selectors.reported_instances()
        lines = [
            f"{told['id']:40} {told['source']:9} revision {told['revision']}"
            + "".join(f"  {name} v{run['number']}" for name, run in {**told["versions"], **told["overrides"]}.items() if run["number"])
            + "".join(f"\n    not applied: {name}: {error}" for name, error in told["errors"].items())
            for told in found
        ]
        self._say(found, "\n".join(lines) or "No process is alive.")

    def _item(self, options: dict[str, Any]) -> None:
        match options["action"]:
            case "list":
                items.list_(options, self._say)
            case "get":
                known, text = items.get(options)
                if self.as_json:
                    self._say(known, "")
                else:
                    self.stdout.write(text, ending="")  # as it is: its md5 is counted to the last blank
            case "set":
                items.set_(options, self.by, self._say)
            case "publish":
                items.publish(options, self.by, self._say)
            case "delete":
                items.delete(options, self.by, self._say)
            case as_with_modules:
                getattr(self, f"_{as_with_modules}")(options)

    def _namespace(self, options: dict[str, Any]) -> None:
        items.namespaces(options, self.by, self._say)


def _wrong(errors: list[dict[str, Any]]) -> str:
    return "".join(f"\n           {entry['field']}: {entry['message']}" for entry in errors)
