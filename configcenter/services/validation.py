"""Check a text before it is published: modules by their class, free-form items by their format."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import ValidationError

from configcenter import hot
from configcenter.models import MODULES, ConfigItem
from configcenter.services import formats
from posthaste.lib.crypto import LostText
from posthaste.lib.json_syntax import is_deep, why_malformed
from posthaste.lib.problems import Invalid, bounded, errors_for
from posthaste.lib.wrong_values import words_of

MAX_BYTES = 1_048_576
#: Messages for known patterns, so that an error does not show a regular expression.
FORMS = {
    hot.NAME: gettext_noop("1 to 40 lower-case letters, digits and any of _ . -"),
    hot.CATEGORY_OR_EMPTY: gettext_noop("Up to 40 lower-case letters, digits and any of _ . -"),
    hot.CLOCK: gettext_noop("Must be a time such as 22:30."),
    hot.CLOCK_OR_EMPTY: gettext_noop("Must be a time such as 22:30, or empty."),
}
_ONE_OF = re.compile(r"\^\(([\w|]+)\)\$")
_NAMED = re.compile(r"([a-z_][\w.\[\]]*): (.+)", re.DOTALL)  # what the modules' own checks begin with


def handle_of(item: ConfigItem) -> "hot.Handle[Any] | None":
    """Return the module that an item is the text of, or None for a free-form item.

    Raises:
        Invalid: it is a module's, and no app registers that module any more.
    """
    if item.group != MODULES or item.namespace.slug != MODULES or item.namespace.tenant_id is not None:
        return None
    try:
        return hot.module(item.data_id)
    except KeyError:
        raise Invalid.field("module", _("There is no module {name}.").format(name=item.data_id), "unknown") from None


def path_of(parts: Iterable[int | str]) -> str:
    """Return the path of a field inside a value: `rules[2].per_second`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def explain(error: ValidationError) -> list[dict[str, Any]]:
    """Return pydantic's errors as entries of a problem document."""
    return bounded(errors_for(error.errors(include_url=False, include_input=False), _entry_of))


def _entry_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    field, context = path_of(entry["loc"]), entry.get("ctx", {})
    if isinstance(wrong := context.get("error"), hot.Wrong):
        field = f"{field}.{wrong.field}" if field else wrong.field
        return {"field": field, "code": "invalid", "message": _(wrong.words).format(**wrong.values)}
    if entry["type"] == "value_error":
        message, match = str(context["error"]), _NAMED.fullmatch(str(context["error"]))
        if match:
            field, message = f"{field}.{match[1]}" if field else match[1], match[2]
        return {"field": field, "code": "invalid", "message": _(message)}
    return {"field": field, "code": entry["type"], "message": message_of(entry)}


def message_of(entry: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors says, in our words."""
    if entry["type"] == "string_pattern_mismatch" and (form := _of_form(str(entry["ctx"]["pattern"]))):
        return form
    return words_of(entry)


def _of_form(pattern: str) -> str:
    """Return the message for a pattern; empty if there is none."""
    if pattern in FORMS:
        return _(FORMS[pattern])
    choices = _ONE_OF.fullmatch(pattern)
    return _("Must be one of {expected}.").format(expected=choices[1].replace("|", ", ")) if choices else ""


def parse(handle: "hot.Handle[Any]", content: str) -> dict[str, Any]:
    """Read the JSON object of a module.

    Raises:
        Invalid: the text is not a JSON object.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise Invalid.field("", why_malformed(content), "malformed") from None
    if is_deep(value):
        raise Invalid.field("", _("The JSON is nested too deeply."), "malformed")
    if not isinstance(value, dict):
        raise Invalid.field("", _("Must be an object with fields of the module {name}.").format(name=handle.name), "dict_type")
    return value


def merged(handle: "hot.Handle[Any]", base: Mapping[str, Any], override: Mapping[str, Any]) -> hot.Module:
    """Return a tenant's value: the base with the fields that a tenant may override.

    Raises:
        pydantic.ValidationError: both together are not valid.
    """
    own = {name: value for name, value in override.items() if name in handle.per_tenant}
    value: hot.Module = handle.model.model_validate({**base, **own})
    return value


def base_of(handle: "hot.Handle[Any]", item: ConfigItem) -> dict[str, Any]:
    """Return the value in force beneath an override; the defaults if nothing was published."""
    base = ConfigItem.objects.filter(namespace_id=item.namespace_id, group=item.group, data_id=item.data_id, override_of=None)
    content = base.values_list("current__content", flat=True).first()
    return orjson.loads(content) if content else handle.model().model_dump(mode="json")  # type: ignore[no-any-return]


def _module_value(handle: "hot.Handle[Any]", item: ConfigItem, content: str) -> dict[str, Any]:
    """Return the checked value: all fields of a module, or the overridden fields of a tenant."""
    value = parse(handle, content)
    try:
        if item.override_of_id is None:
            checked: dict[str, Any] = handle.model.model_validate(value).model_dump(mode="json")
            return checked
        foreign = [name for name in value if name not in handle.per_tenant]
        if foreign:
            message = _("Tenants can't override this field.")
            raise Invalid(errors=errors_for(foreign, lambda name: {"field": name, "code": "not_overridable", "message": message}))
        whole = merged(handle, base_of(handle, item), value).model_dump(mode="json")
        return {name: whole[name] for name in value}
    except ValidationError as error:
        raise Invalid(errors=explain(error)) from None


def check_text(content: str) -> None:
    """Refuse text that can't be stored, valid or not.

    Raises:
        Invalid: too long, or with the character NUL or half a character.
    """
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        raise Invalid.field("content", _("Must be text in UTF-8.")) from None
    if size > MAX_BYTES:
        raise Invalid.field("content", _("At most {n} KiB.").format(n=MAX_BYTES >> 10), "too_long")
    if "\0" in content:
        raise Invalid.field("content", _("The character NUL can't be stored; remove it."))


def validate(item: ConfigItem, content: str, *, is_secret: bool = False) -> None:
    """Check a text as publishing does.

    With `is_secret`, and always for an encrypted item, an error of a free-form item tells its place and quotes nothing. It is for a text
    that the caller did not send and may not be allowed to read.

    Raises:
        Invalid: naming each wrong field, such as `rules[2].per_second`.
    """
    if isinstance(content, LostText):
        raise Invalid.field("content", _("This text can't be decrypted, because its key is not in ENCRYPTION_KEYS."), "undecryptable")
    check_text(content)
    handle = handle_of(item)
    if handle is None:
        formats.check(item.format, content, is_secret=is_secret or item.is_encrypted)
    else:
        _module_value(handle, item, content)


def written(value: Any) -> str:
    """Write a module's value as it is stored: JSON, sorted and indented, so that lines can be compared."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def canonical(item: ConfigItem, content: str) -> str:
    """Return the canonical form of a text.

    For a module: sorted, indented, with all fields, as far as it is valid. A free-form item is returned unchanged.
    """
    handle = handle_of(item)
    if handle is None:
        return content
    try:
        return written(_module_value(handle, item, content))
    except Invalid:
        pass
    try:
        return written(orjson.loads(content))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # no JSON, or nested deeper than orjson writes
        return content


def defaults(item: ConfigItem) -> str:
    """Return what is in force where nothing was published."""
    handle = handle_of(item)
    if handle is None:
        return ""
    return written({} if item.override_of_id else handle.model().model_dump(mode="json"))
