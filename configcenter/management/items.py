"""`manage.py config item …` and `manage.py config namespace …`: free-form items of other systems, and the drawers they lie in."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import Tenant, tenant_by_slug
from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.models import MODULES, PUBLIC, ConfigItem, ConfigNamespace, Format
from configcenter.services import drafts, items, releases
from posthaste.lib.crypto import LostText, Undecryptable
from posthaste.lib.problems import Invalid, NotFound

GROUP = "DEFAULT_GROUP"  # as Nacos clients have it
SUFFIXES = {"yml": Format.YAML} | {kind.value: kind for kind in Format if kind != Format.TEXT}
Say = Callable[[Any, str], None]


def add_arguments(verbs: Any) -> None:
    """Declare the verbs `item` and `namespace` with theirs."""
    text = "Free-form items of other systems: list, get, set, publish, rollback, delete and more."
    actions = verbs.add_parser("item", help=text, description=text).add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str, *, changes: bool = True, what: tuple[str, ...] = ()) -> Any:
        made = _parser(actions, name, text, changes=changes)
        if what:
            made.add_argument("what", choices=what)
        made.add_argument("data_id", metavar="DATA_ID")
        made.add_argument("--namespace", default=PUBLIC, help=f"default: {PUBLIC}")
        made.add_argument("--group", default=GROUP, help=f"default: {GROUP}")
        return made

    found = _parser(actions, "list", "Lists items that are in force or being edited, without their texts.", changes=False)
    found.add_argument("--namespace", default="", help="only of this namespace")
    found.add_argument("--group", default="", help="only of this group")
    found.add_argument("--search", default="", help="part of the data id or of the description")
    get = action("get", "Prints the text in force, to the last blank; with --json also what is known of it.", changes=False)
    which = get.add_mutually_exclusive_group()
    which.add_argument("--draft", action="store_true", help="the draft instead")
    which.add_argument("--version", dest="number", type=int, metavar="N", help="the text of this release instead")
    get.add_argument("--reveal", action="store_true", help="also the text of an encrypted item")
    change = action("set", "Saves a text as the draft, making the item where there is none; changes format and description.")
    change.add_argument("file", nargs="?", metavar="FILE", help="the text; - for standard input")
    change.add_argument("--based-on", type=int, metavar="N", help="the draft's version that you saw: refused when it has changed since")
    change.add_argument("--description", help="what it is, for those who find it")
    change.add_argument("--encrypted", action="store_true", default=None, help="store its texts encrypted; can't be taken back")
    publish = action("publish", "Brings a text into force: a file's, making the item where there is none, or the draft.")
    publish.add_argument("file", nargs="?", metavar="FILE", help="the text; - for standard input; default: the draft")
    publish.add_argument("--if-md5", metavar="MD5", help='only over the release with this md5; "": only where nothing is in force')
    publish.add_argument("--if-version", type=int, metavar="N", help="only over this release; 0: only where nothing is in force")
    for made in (change, publish):
        made.add_argument("--format", choices=Format.values, help="default of a new item: by the end of its data id, otherwise text")
    rollback = action("rollback", "Brings an earlier version into force again.")
    rollback.add_argument("version", type=int, metavar="VERSION")
    delete = action("delete", "Takes an item out of force; its draft goes, its history stays.")
    gray = action("gray", "Ends a gray release that was begun in the console.", what=("promote", "abandon", "status"))
    gray.set_defaults(label=[], percent=0)
    for made in (publish, rollback, delete, gray):
        made.add_argument("-m", "--comment", default="", help="why, for those who read the history")
    action("discard", "Throws the draft away.")
    history = action("history", "Lists the releases, the newest first.", changes=False)
    history.add_argument("--limit", type=int, default=20)
    diff = action("diff", "Compares versions: the draft with what is in force, or two releases.", changes=False)
    diff.add_argument("before", nargs="?", type=int, help="version; default: what is in force")
    diff.add_argument("after", nargs="?", type=int, help="version; default: the draft")
    _add_namespaces(verbs)


def _add_namespaces(verbs: Any) -> None:
    text = "Namespaces, the drawers of free-form items: list, create, delete."
    actions = verbs.add_parser("namespace", help=text, description=text).add_subparsers(dest="action", required=True, metavar="ACTION")
    _parser(actions, "list", "Lists the namespaces.", changes=False)
    create = _parser(actions, "create", "Makes a namespace.")
    delete = _parser(actions, "delete", "Deletes a namespace in which nothing is in force or being edited, with its history.")
    for made in (create, delete):
        made.add_argument("namespace", metavar="NAMESPACE")
    create.add_argument("--name", default="", help="for people; default: the same")
    create.add_argument("--description", default="")


def _parser(actions: Any, name: str, text: str, *, changes: bool = True) -> ArgumentParser:
    made: ArgumentParser = actions.add_parser(name, help=text, description=text)
    made.add_argument("--tenant", help="short name: of this tenant instead of the installation")
    made.add_argument("--json", action="store_true", help="answer as JSON, for programs")
    if changes:
        add_author(made)
    return made


def add_author(made: ArgumentParser) -> None:
    """Declare the option of verbs that change something: a shell does not know who sits at it."""
    made.add_argument("--author", default="", metavar="NAME", help="who did it, for the history and the audit trail")


def find(options: dict[str, Any]) -> ConfigItem:
    """Return the item that the arguments name.

    Raises:
        NotFound: there is none, or no such tenant or namespace.
        Invalid: it is where the modules lie.
    """
    return items.get_item(namespace=_namespace(options), group=options["group"], data_id=options["data_id"])


def tenant_of(options: dict[str, Any]) -> Tenant | None:
    """Return the tenant that `--tenant` names; without the option, None.

    Raises:
        NotFound: there is none.
    """
    slug = options.get("tenant")
    tenant = tenant_by_slug(slug) if slug else None
    if slug and tenant is None:
        raise NotFound(_("There is no tenant {slug}.").format(slug=slug))
    return tenant


def _namespace(options: dict[str, Any]) -> ConfigNamespace:
    tenant, slug = tenant_of(options), options["namespace"]
    if tenant is None and slug == MODULES:
        raise Invalid.field("namespace", _("This namespace holds only modules. Choose another one."))
    return items.find_namespace(tenant=tenant, slug=slug)


def chosen(*, modules: list[str], namespaces: list[str], tenant: Tenant | None) -> "QuerySet[ConfigItem]":
    """Return what is in force of some modules with their overrides and of some namespaces; without either, of all.

    Raises:
        NotFound: there is no such module or namespace.
    """
    for name in modules:
        items.module_item(name)
    for slug in namespaces:
        items.find_namespace(tenant=tenant, slug=slug)
    rows = selectors.everything(tenant.pk if tenant else None).order_by("pk")
    if not modules and not namespaces:
        return rows
    in_modules = Q(namespace__slug=MODULES, namespace__tenant=None, data_id__in=modules)
    return rows.filter(in_modules | Q(namespace__slug__in=namespaces, namespace__tenant=tenant))


def content_of(file: str) -> str:
    """Read a text, to the last blank; `-` is standard input.

    Raises:
        CommandError: it can't be read, or is not UTF-8; status 2.
    """
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", returncode=2) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file}: not a text in UTF-8.", returncode=2) from None


# --- one function an action that modules do not have, or have in another form ------------------------------------------


def list_(options: dict[str, Any], say: Say) -> None:
    """List items."""
    tenant = tenant_of(options)
    rows = selectors.free_items(tenant.pk if tenant else None).order_by("namespace__slug", "group", "data_id")
    for name, path in (("namespace", "namespace__slug"), ("group", "group")):
        if options[name]:
            rows = rows.filter(**{path: options[name]})
    if words := options["search"]:
        rows = rows.filter(Q(data_id__icontains=words) | Q(description__icontains=words))
    found = list(rows)
    lines = [
        f"{items.name_of(item):50} {item.format:10} v{item.current.number if item.current else 0:<4}"
        + ("  draft" if item.draft is not None else "")
        + (f"  gray v{item.gray.number}" if item.gray else "")
        + ("  can't be decrypted" if selectors.is_undecryptable(item) else "")
        for item in found
    ]
    say([described(item) for item in found], "\n".join(lines) or "There are no items.")


def described(item: ConfigItem) -> dict[str, Any]:
    """Return what is known of an item, without its texts; the names are those of the API."""
    current = item.current
    return {
        "namespace": item.namespace.slug,
        "group": item.group,
        "data_id": item.data_id,
        "format": item.format,
        "description": item.description,
        "is_encrypted": item.is_encrypted,
        "is_undecryptable": selectors.is_undecryptable(item),
        "version": current.number if current else 0,
        "md5": current.md5 if current else "",
        "at": current.at if current else None,
        "author": current.author if current else "",
        "has_draft": item.draft is not None,
        "draft_version": item.draft_version,
        "gray": item.gray.number if item.gray else None,
    }


def get(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what is known of an item, and the text that was asked for: in force, of a release, or being edited.

    Raises:
        NotFound: there is none.
        Undecryptable: it is to be revealed, and can't be decrypted.
    """
    item = find(options)
    if options["draft"]:
        if item.draft is None:
            raise NotFound(_("There is no draft of {item}.").format(item=items.name_of(item)))
        text = item.draft
    elif options["number"] is not None:
        text = selectors.release(item, options["number"]).content
    elif item.current is None:
        raise NotFound(_("No version of this item is in force."))
    else:
        text = item.current.content
    if options["reveal"] and isinstance(text, LostText):
        raise Undecryptable
    text = text if options["reveal"] else selectors.shown_text(item, text)
    return described(item) | {"content": text}, text


def _found_or_made(options: dict[str, Any], by: Actor) -> ConfigItem:
    namespace = _namespace(options)
    names = {"namespace": namespace, "group": options["group"], "data_id": options["data_id"]}
    try:
        return items.get_item(**names)
    except NotFound:
        kind = options["format"] or SUFFIXES.get(options["data_id"].rpartition(".")[2].lower(), Format.TEXT)
    return items.create_item(**names, format=kind, by=by)


def set_(options: dict[str, Any], by: Actor, say: Say) -> None:
    """Save a draft that is valid, and change format and description: all of it or nothing.

    Raises:
        CommandError: nothing to change was given; status 2.
        Invalid, DraftConflict: as the services say.
    """
    about = {"format": options["format"], "description": options["description"], "is_encrypted": options["encrypted"]}
    if options["file"] is None and not any(value is not None for value in about.values()):
        raise CommandError("Give a FILE (- for standard input), --format, --description or --encrypted.", returncode=2)
    text = None if options["file"] is None else content_of(options["file"])
    with transaction.atomic():
        item = items.change_item(item=_found_or_made(options, by), **about, by=by)
        if text is not None:
            items.validate(item, text)  # as with modules: a shell has no page that marks what is wrong, so nothing wrong is kept
            based_on = item.draft_version if options["based_on"] is None else options["based_on"]
            item = drafts.save_draft(item=item, content=text, based_on=based_on, by=by, now=timezone.now())
    name = items.name_of(item)
    kept = f"Draft {item.draft_version} of {name} ({item.format}). Not in force yet." if text is not None else f"{name} is changed."
    say(described(item), kept)


def publish(options: dict[str, Any], by: Actor, say: Say) -> None:
    """Bring a file's text, or the draft, into force; an item that is made for a text that proves wrong is not kept.

    Raises:
        NotFound: no text was given, and there is no such item.
        Invalid, Conflict: as the services say.
    """
    text = None if options["file"] is None else content_of(options["file"])
    wanted = {name: options[name] for name in ("comment", "format", "if_md5", "if_version")}
    with transaction.atomic():
        item = find(options) if text is None else _found_or_made(options, by)
        release = releases.publish(item=item, content=text, by=by, **wanted)
    say(as_dict(release), f"Version {release.number} of {items.name_of(item)} is in force.")


def delete(options: dict[str, Any], by: Actor, say: Say) -> None:
    """Take an item out of force.

    Raises:
        NothingToPublish: nothing of it is.
    """
    item = find(options)
    release = releases.remove(item=item, comment=options["comment"], by=by)
    say(as_dict(release), f"{items.name_of(item)} is out of force; its history stays.")


def as_dict(release: Any) -> dict[str, Any]:
    """Return what is known of a release, without its text."""
    return {name: getattr(release, name) for name in ("number", "revision", "action", "md5", "comment", "author", "at")}


def namespaces(options: dict[str, Any], by: Actor, say: Say) -> None:
    """List, make or delete namespaces.

    Raises: as the services of the same names.
    """
    tenant = tenant_of(options)
    if options["action"] == "list":
        items.default_namespace(tenant)
        found = list(selectors.namespaces(tenant).order_by("slug"))
        rows = [{"namespace": each.slug, "name": each.name, "description": each.description} for each in found]
        say(rows, "\n".join(f"{row['namespace']:30} {row['name']}" for row in rows))
        return
    slug = options["namespace"]
    if options["action"] == "create":
        made = {"name": options["name"], "description": options["description"]}
        items.create_namespace(tenant=tenant, slug=slug, **made, by=by)
    else:
        items.delete_namespace(namespace=items.find_namespace(tenant=tenant, slug=slug), by=by)
    say({"namespace": slug}, f"The namespace {slug} is {'there' if options['action'] == 'create' else 'deleted'}.")
