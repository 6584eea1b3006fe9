"""The forms of Nacos' protocol: names, the list of what a client listens to, the answer that names what changed.

Reference: https://nacos.io/en/docs/v1/open-api/ and the server's MD5Util, LongPollingService of release 1.4.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus

import orjson
from django.utils.translation import gettext as _

from configcenter.models import INSTALLATION, Format
from configcenter.nacos.clients import MAX_AGENT
from configcenter.services.validation import MAX_BYTES
from posthaste.lib.problems import Invalid, Malformed, TooLarge, errors_for

WORD, LINE = "\x02", "\x01"
DEFAULT_GROUP = "DEFAULT_GROUP"
MAX_KEYS = 10_000  # that one request may listen to, as the Nacos server has it

MAX_FIELDS = 64
MAX_DATA_ID, MAX_GROUP, MAX_MD5 = 256, 128, 32
MAX_TENANT = len(INSTALLATION) + 128
MAX_BETA_ADDRESSES = 100
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
#: Clients wait this much longer than they say; the answer must be there before their time is up.
EARLY_SECONDS = 0.5
MIN_WAIT_SECONDS, MAX_WAIT_SECONDS = 10.0, 60.0
#: Nacos' name of a type → ours. What Nacos knows and we do not (html) is text here.
FORMATS = {
    "text": Format.TEXT,
    "json": Format.JSON,
    "yaml": Format.YAML,
    "properties": Format.PROPERTIES,
    "xml": Format.XML,
    "toml": Format.TOML,
}
#: Our services' name of a field → the one that Nacos clients know.
FIELDS = {
    "data_id": "dataId",
    "description": "desc",
    "format": "type",
    "if_md5": "casMd5",
    "labels": "betaIps",
    "slug": "customNamespaceId",
}


@dataclass(frozen=True, slots=True)
class Listened:
    """One thing a client listens to: what it calls it, and the md5 it has ("": it has nothing)."""

    data_id: str
    group: str
    tenant: str
    md5: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    kind: str = "text/plain;charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()


def text(words: str, **headers: str) -> Answer:
    """Answer with a plain text."""
    return Answer(words.encode(), headers=tuple(headers.items()))


def json(value: Any) -> Answer:
    """Answer with JSON."""
    return Answer(orjson.dumps(value), kind="application/json;charset=UTF-8")


def parameters(*encoded: bytes) -> dict[str, str]:
    """Read query string and form as one, as servlets do; where both have a name the first counts.

    Raises:
        Malformed: not UTF-8.
        Invalid: too many fields, or one with the character NUL.
    """
    found: dict[str, str] = {}
    for part in encoded:
        if part.count(b"&") >= MAX_FIELDS:
            raise Invalid(_("At most {n} parameters.").format(n=MAX_FIELDS))
        try:
            pairs = parse_qsl(part.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError:
            raise Malformed(_("The parameters must be URL-encoded UTF-8.")) from None
        for name, value in pairs:
            found.setdefault(name, value)
    for name, value in found.items():
        check_storable(name, value)
    return found


def check_storable(field: str, value: str) -> None:
    """Refuse a value with the character NUL. Raises: Invalid."""
    if "\0" in value:
        raise Invalid.field(field, _("The character NUL can't be stored; remove it."))


def name_of(fields: Mapping[str, str], field: str, *, max_length: int) -> str:
    """Return a name that must be there.

    Raises:
        Invalid: it is missing, too long, or has characters that Nacos does not allow.
    """
    value = fields.get(field, "").strip()
    if not value:
        raise Invalid.field(field, _("Required."), "required")
    if len(value) > max_length or not NAME.fullmatch(value):
        raise Invalid.field(field, _("At most {n} letters, digits and characters of _ - . :").format(n=max_length))
    return value


def data_id(fields: Mapping[str, str]) -> str:
    """Return the data id. Raises: Invalid."""
    return name_of(fields, "dataId", max_length=MAX_DATA_ID)


def group(fields: Mapping[str, str]) -> str:
    """Return the group; without one, Nacos' default group. Raises: Invalid."""
    return name_of({"group": fields.get("group", "").strip() or DEFAULT_GROUP}, "group", max_length=MAX_GROUP)


def tenant(fields: Mapping[str, str]) -> str:
    """Return the name of the namespace; empty where the caller's own is meant. Raises: Invalid."""
    return name_of(fields, "tenant", max_length=MAX_TENANT) if fields.get("tenant", "").strip() else ""


def whole(fields: Mapping[str, str], field: str, default: int, maximum: int) -> int:
    """Return a whole number from 1 to `maximum`. Raises: Invalid."""
    value = fields.get(field, "") or str(default)
    if not value.isascii() or not value.isdecimal() or len(value) > 9 or int(value) < 1:
        raise Invalid.field(field, _("Must be a whole number, 1 or greater."))
    return min(int(value), maximum)


#: What a Nacos server does for these fields we do not do, and leaving them out would do something else: method and address → fields.
UNSUPPORTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/cs/configs"): ("tag", "export", "exportV2", "config_tags", "appName"),
    ("POST", "/cs/configs"): ("tag", "datumId", "import", "clone", "encryptedDataKey"),
    ("DELETE", "/cs/configs"): ("tag", "datumId", "delType", "ids"),
    ("GET", "/cs/configs/listener"): ("tag",),
}


def check_supported(method: str, path: str, fields: Mapping[str, str]) -> None:
    """Refuse what would change the meaning of a request if it were left out, such as `method=addDatum`.

    Raises:
        Invalid: naming each such field.
    """
    names = [name for name in UNSUPPORTED.get((method, path), ()) if fields.get(name, "").strip()]
    # On a write, "method" says which part of an aggregated item is meant; other values than the usual are of the same kind.
    if method != "GET" and path == "/cs/configs" and fields.get("method", "").strip() not in ("", "syncUpdateAll"):
        names.append("method")
    if names:
        raise Invalid(errors=errors_for(names, lambda name: {"field": name, "code": "unsupported", "message": _("Not supported here.")}))


def beta_addresses(written: str) -> list[str]:
    """Read `betaIps`: the addresses that a beta is for, with commas between them.

    Raises:
        Invalid: one is no address, there is none but something is written, or there are too many.
    """
    found = [word.strip() for word in written.split(",") if word.strip()]
    wrong = Invalid.field("betaIps", _("Write IP addresses with commas between them."))
    if not found and written.strip():  # it would otherwise be published for all
        raise wrong
    try:
        addresses = [str(ipaddress.ip_address(word)) for word in found]
    except ValueError:
        raise wrong from None
    if any("%" in address for address in addresses):  # fe80::1%eth0: a zone means something on one machine only
        raise wrong
    if len(addresses) > MAX_BETA_ADDRESSES:
        raise Invalid.field("betaIps", _("At most {n} at once.").format(n=MAX_BETA_ADDRESSES))
    return addresses


def content(fields: Mapping[str, str]) -> str:
    """Return the content that is to be published.

    Raises:
        Invalid: there is none.
        TooLarge: more than an item may hold.
    """
    value = fields.get("content", "")
    if not value.strip():
        raise Invalid.field("content", _("Required."), "required")
    if len(value.encode()) > MAX_BYTES:
        raise TooLarge(_("The content of an item may have at most {n} KiB.").format(n=MAX_BYTES >> 10))
    return value


def listened_to(*, data_id: str, group: str, tenant: str, md5: str) -> Listened:
    """Return one thing that a client listens to. Its names stay as they were written, as the client looks for them in the answer.

    Raises:
        Invalid: one of the names can't be a name of anything.
    """
    name_of({"dataId": data_id}, "dataId", max_length=MAX_DATA_ID)
    name_of({"group": group}, "group", max_length=MAX_GROUP)
    if tenant.strip():
        name_of({"tenant": tenant}, "tenant", max_length=MAX_TENANT)
    if len(md5) > MAX_MD5:
        raise Invalid.field("md5", _("At most {n} characters.").format(n=MAX_MD5), "too_long")
    return Listened(data_id=data_id, group=group, tenant=tenant, md5=md5.lower())


def listened(fields: Mapping[str, str]) -> list[Listened]:
    r"""Read what a client listens to: `dataId \x02 group \x02 md5 [\x02 tenant] \x01` for each.

    Raises:
        Invalid: it is not in that form, or has a name that can't be one.
    """
    written = fields.get("Listening-Configs", "")
    if "%" in written:  # some clients encode it once more
        written = unquote_plus(written)
    found = []
    for line in written.split(LINE):
        if not line:
            continue
        words = line.split(WORD)
        if len(words) not in (3, 4) or not words[0] or not words[1]:
            raise Invalid.field(
                "Listening-Configs", _("Write dataId, group, md5 and tenant, with \\x02 between them and \\x01 at the end.")
            )
        found.append(listened_to(data_id=words[0], group=words[1], md5=words[2], tenant=words[3] if len(words) == 4 else ""))
    if not found:
        raise Invalid.field("Listening-Configs", _("Required."), "required")
    if len(found) > MAX_KEYS:
        raise Invalid.field("Listening-Configs", _("At most {n} at once.").format(n=MAX_KEYS))
    return found


def changed(keys: Iterable[Listened]) -> Answer:
    r"""Return what changed as `dataId \x02 group [\x02 tenant] \x01` for each key, URL-encoded; empty if nothing did."""
    lines = (WORD.join([key.data_id, key.group, *([key.tenant] if key.tenant else [])]) + LINE for key in keys)
    return text(quote_plus("".join(lines)), **{"Cache-Control": "no-cache,no-store"})


def wait_seconds(headers: Mapping[str, str]) -> float:
    """Return how long a client wants to wait for a change; 0: it wants the answer at once.

    Raises:
        Invalid: Long-Pulling-Timeout is no number of milliseconds.
    """
    written = headers.get("long-pulling-timeout", "").strip()
    if not written or headers.get("long-pulling-timeout-no-hangup", "").strip().lower() == "true":
        return 0.0
    if not written.isascii() or not written.isdecimal() or len(written) > 9:
        raise Invalid.field("Long-Pulling-Timeout", _("Must be a whole number of milliseconds."))
    return min(max(int(written) / 1000 - EARLY_SECONDS, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS)


def agent(headers: Mapping[str, str]) -> str:
    """Return what a client says it is: `nacos-sdk-python 1.0.0`, or its user agent."""
    said = headers.get("user-agent", "").strip() or headers.get("client-version", "").strip()
    return "".join(character for character in said if character.isprintable())[:MAX_AGENT]


def page(rows: list[dict[str, Any]], *, total: int, number: int, size: int) -> Answer:
    """Return one page of a list as Nacos writes it."""
    return json({"totalCount": total, "pageNumber": number, "pagesAvailable": -(-total // size), "pageItems": rows})
