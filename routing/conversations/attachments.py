"""Files of lines: their type is told by their bytes, their name is made harmless, their size is limited.

What a browser would run (HTML, SVG, scripts) is stored like anything else, and served as bytes without a type: see `served_type`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import puremagic
from django.utils.translation import gettext as _

from posthaste.lib.ids import new_id
from posthaste.lib.problems import Invalid
from routing.contract import IncomingFile
from routing.models import Attachment, Line

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_LINE_BYTES = 25 * 1024 * 1024
MAX_FILES = 10
MAX_NAME = 120
PLAIN, BYTES = "text/plain", "application/octet-stream"
#: Types that show something and run nothing. All others are served as bytes.
HARMLESS = re.compile(r"(image/(png|jpeg|gif|webp|bmp|tiff)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+|application/(pdf|zip)|text/plain)")
#: Reserved on some system, or read by a shell or a browser.
_RESERVED = re.compile(r'[\\/:*?"<>|%;`$&\']')
_ACTIVE = re.compile(rb"<(!doctype|html|svg|script|\?xml)", re.IGNORECASE)
_SNIFFED = 4096
#: Files that were uploaded and never sent are removed after this time.
UNSENT_KEPT = timedelta(days=1)


def clean_name(name: str) -> str:
    """Return the name of a file without paths, control characters and what a shell or a browser reads as more than a name."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(character for character in last if unicodedata.category(character)[0] != "C")
    kept = _RESERVED.sub("_", kept).strip(" .")
    stem, dot, ending = kept.rpartition(".")
    if dot and len(ending) <= 10:
        kept = f"{stem[: MAX_NAME - 1 - len(ending)]}.{ending}"
    return kept[:MAX_NAME] or "file"


def type_of(content: bytes) -> str:
    """Return the type of a file by its bytes; what its sender says about it counts for nothing."""
    if _ACTIVE.search(content[:_SNIFFED]):
        return "image/svg+xml" if b"<svg" in content[:_SNIFFED].lower() else "text/html"
    try:
        found = puremagic.from_string(content, mime=True)
    except (puremagic.PureError, ValueError):
        found = ""
    if found and len(found) <= 100:
        return found
    try:
        content.decode()
    except UnicodeDecodeError:
        return BYTES
    return PLAIN if b"\x00" not in content else BYTES


def served_type(content_type: str) -> str:
    """Return the type that a file is served with: its own if it is harmless, else none."""
    return content_type if HARMLESS.fullmatch(content_type) else BYTES


def make(files: Iterable[IncomingFile], *, tenant_id: int, owner: str, now: datetime) -> tuple[list[Attachment], list[dict[str, str]]]:
    """Make rows of the files that are at hand, not stored yet, and name those that are too large or too many."""
    made: list[Attachment] = []
    refused: list[dict[str, str]] = []
    total = 0
    for file in files:
        if not file.content:
            continue
        total += len(file.content)
        if len(file.content) > MAX_FILE_BYTES or total > MAX_LINE_BYTES or len(made) == MAX_FILES:
            refused.append({"name": clean_name(file.name), "why": "too_many" if len(made) == MAX_FILES else "too_large"})
            continue
        made.append(_row(file.name, file.content, tenant_id=tenant_id, owner=owner, now=now))
    return made, refused


def _row(name: str, content: bytes, *, tenant_id: int, owner: str, now: datetime) -> Attachment:
    return Attachment(
        id=new_id(),
        tenant_id=tenant_id,
        owner=owner,
        name=clean_name(name),
        content_type=type_of(content),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
        created_at=now,
    )


def upload(*, name: str, content: bytes, tenant_id: int, owner: str, max_bytes: int = MAX_FILE_BYTES, now: datetime) -> Attachment:
    """Store a file that a line of the same owner will name.

    Raises:
        Invalid: it is empty or too large.
    """
    if not content:
        raise Invalid.field("file", _("The file is empty."), "empty")
    if len(content) > max_bytes:
        raise Invalid.field("file", _("At most {n} MiB per file.").format(n=max_bytes >> 20), "too_large")
    row = _row(name, content, tenant_id=tenant_id, owner=owner, now=now)
    row.save(force_insert=True)
    return row


def owned(ids: Sequence[UUID], *, tenant_id: int, owner: str) -> list[UUID]:
    """Return those of the ids, each once and in order, that are files of this owner and in no line yet.

    Raises:
        Invalid: naming each that is not, or there are too many.
    """
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MAX_FILES:
        raise Invalid.field("files", _("At most {n} files per line.").format(n=MAX_FILES), "too_many")
    rows = dict(Attachment.objects.filter(tenant_id=tenant_id, pk__in=wanted, owner=owner, line=None).values_list("pk", "size"))
    missing = [index for index, pk in enumerate(wanted) if pk not in rows]
    if missing:
        said = _("There is no such file of yours that is not sent yet. Upload it first.")
        raise Invalid(errors=[{"field": f"files[{index}]", "code": "unknown", "message": said} for index in missing])
    if sum(rows.values()) > MAX_LINE_BYTES:
        raise Invalid.field("files", _("At most {n} MiB per line.").format(n=MAX_LINE_BYTES >> 20), "too_large")
    return wanted


def give(ids: Sequence[UUID], *, line: Line, owner: str) -> int:
    """Give uploaded files to a line, in the caller's transaction, and return how many; one that another line has stays there."""
    if not ids:
        return 0
    free = Attachment.objects.filter(pk__in=ids, tenant_id=line.tenant_id, owner=owner, line=None)
    return free.update(line=line, conversation_id=line.conversation_id, owner="")


def reserve(ids: Sequence[UUID], *, owner: str, new_owner: str) -> None:
    """Keep uploaded files for what will become a line, in the caller's transaction.

    Raises:
        Invalid: another one has taken some of them at this moment.
    """
    if Attachment.objects.filter(pk__in=ids, owner=owner, line=None).update(owner=new_owner) != len(ids):
        raise Invalid.field("files", _("There is no such file of yours that is not sent yet. Upload it first."), "unknown")


def delete_unsent(*, now: datetime) -> int:
    """Delete the files that were uploaded long ago and never sent, and return how many.

    Those of an arrival that is still to be processed, or that failed and may be tried again, stay.
    """
    old = Attachment.objects.filter(line=None, created_at__lt=now - UNSENT_KEPT).exclude(owner__startswith="arrival:")
    number, _by_model = old.delete()
    return number
