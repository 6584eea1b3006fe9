"""What the texts of an entry must be like."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid

MAX_QUESTION, MAX_ANSWER, MAX_PHRASINGS, MAX_NAME = 300, 20_000, 50, 80
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
SLUG = re.compile(r"[-\w]+")
_LENGTHS = {"slug": MAX_NAME, "category": MAX_NAME, "intent": MAX_NAME, "question": MAX_QUESTION, "answer": MAX_ANSWER}


def cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return given fields of an entry as they are stored: trimmed, the language in lower case, no phrasing twice.

    Raises:
        Invalid: one is empty that must not be, too long, or no language or address; each error names its field.
    """
    found: dict[str, Any] = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    if "language" in found:
        found["language"] = found["language"].lower()
    errors = [_error(name, _("Must not be empty."), "required") for name in ("question", "answer") if found.get(name) == ""]
    for name, most in _LENGTHS.items():
        if len(found.get(name, "")) > most:
            errors.append(_error(name, _("At most {n} characters.").format(n=most), "max_length"))
    if "language" in found and not (LANGUAGE.fullmatch(found["language"]) and len(found["language"]) <= 16):
        errors.append(_error("language", _("Must be a language code such as en, zh or pt-br."), "invalid"))
    if found.get("slug") and not SLUG.fullmatch(found["slug"]):
        errors.append(_error("slug", _("Use letters, digits, hyphens and underscores only."), "invalid"))
    if "phrasings" in found:
        found["phrasings"] = _phrasings(found["phrasings"], found.get("question", ""))
        if len(found["phrasings"]) > MAX_PHRASINGS:
            errors.append(_error("phrasings", _("At most {n}.").format(n=MAX_PHRASINGS), "max_length"))
        if any(len(text) > MAX_QUESTION for text in found["phrasings"]):
            errors.append(_error("phrasings", _("At most {n} characters each.").format(n=MAX_QUESTION), "max_length"))
    if errors:
        raise Invalid(errors=errors)
    return found


def slug_from(question: str) -> str:
    """Return an address made of a question."""
    return slugify(question, allow_unicode=True)[:60].strip("-_") or "entry"


def _phrasings(texts: Sequence[str], question: str) -> list[str]:
    kept: dict[str, str] = {}
    for text in texts:
        plain = " ".join(str(text).split())
        if plain and plain.casefold() != question.casefold():
            kept.setdefault(plain.casefold(), plain)
    return list(kept.values())


def _error(field: str, message: str, code: str) -> dict[str, Any]:
    return {"field": field, "code": code, "message": message}
