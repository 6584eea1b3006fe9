"""Hot configuration as the code reads it: typed modules, each one immutable value that is swapped as a whole.

An app declares a module once, at import time:

    class RetryPolicy(Module):
        max_retries: int = setting(3, _("Retries"), _("Attempts after the first one."), ge=0, le=10)

    retry_policy = hot.register(RetryPolicy, name="retry_policy", title=_("Retry policy"), purpose=_("…"), order=5)

and reads it wherever it needs it, without I/O and without a lock:

    retry_policy.value.max_retries          # in force in this process
    retry_policy.of(tenant_id).max_retries  # with the tenant's override, where the module allows them
    retry_policy.now.release                 # number of the release, for traces; 0: the defaults

`value` is replaced by one assignment, so code that keeps it in a variable sees one release and never parts of two.
Publishing and applying lie in `configcenter.services`; nothing here knows the database.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import structlog
from django.utils.translation import gettext_noop
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)


#: Patterns that several modules use; `configcenter.services.validation` has a message for each.
NAME = r"^[a-z0-9_.-]{1,40}$"
CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
CLOCK_OR_EMPTY = rf"^$|{CLOCK}"
CATEGORY_OR_EMPTY = r"^[a-z0-9_.-]{0,40}$"
#: The name of a module, which is part of addresses.
MODULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Shape(BaseModel):
    """Base of everything inside a module: immutable, and unknown field names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        members = value if kind == list[int] and isinstance(value, list) else [value] if kind in (int, float) else []
        if any(isinstance(member, bool) for member in members):
            raise PydanticKnownError("float_type" if kind is float else "int_type")
        return value

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        """Say in one line what a member of a list does, in the reader's language; empty: the console lists its fields.

        `values` are those of a draft, so they may be of any type.
        """
        return ""


class Wrong(ValueError):
    """An error found by a check over several fields: the field, a message marked with gettext_noop, and its values.

        raise Wrong("rules", _("There are two rules named {name}."), name="mine")

    The message is translated when it is shown, so message and values are stored separately.
    """

    def __init__(self, field: str, words: str, **values: Any) -> None:
        super().__init__(f"{field}: {words.format(**values)}")
        self.field, self.words, self.values = field, words, values


def filled(value: BaseModel, *names: str) -> None:
    """Refuse empty or blank values.

    Raises:
        Wrong: a value is blank.
    """
    for name in names:
        if not str(getattr(value, name)).strip():
            raise Wrong(name, gettext_noop("Must not be empty."))


def no_two(field: str, names: Iterable[str], words: str) -> None:
    """Refuse duplicate names. `words` is the message and contains {name}.

    Raises:
        Wrong: a name occurs twice.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise Wrong(field, words, name=twice[0])


def each(field: str, values: Iterable[Any], fits: Callable[[Any], object], words: str, **more: Any) -> None:
    """Refuse the first value for which `fits` is false. `words` is the message and may contain {value}.

    Raises:
        Wrong: names the index of the value.
    """
    for index, value in enumerate(values):
        if not fits(value):
            raise Wrong(f"{field}[{index}]", words, value=str(value)[:100], **more)


class Module(Shape):
    """Base class of a module.

    Every field has a default, a title and a help text. The console, the validation, the API and the documentation are generated
    from this one class.
    """


#: Choices that other apps offer for a field, by the name that its `widget` gives: value and label.
CHOICES: dict[str, Callable[[], Iterable[tuple[str, Any]]]] = {}


def setting(
    default: Any = ..., title: str = "", help_text: str = "", *, unit: str = "", widget: str = "", is_unordered: bool = False, **limits: Any
) -> Any:
    """Declare one field of a module.

    `title` and `help_text` are marked with gettext_noop and translated when they are shown. `unit` is `ms`, `s`, `per s`, `%`,
    `threads` and the like. `limits` use pydantic's names (`ge`, `le`, `min_length`, `pattern`, …). `widget` replaces the input that follows
    from the type: `lines` (a list of texts, one per line), `text` (several lines), or the name of a choice in CHOICES. `is_unordered`:
    the order of the list's members changes nothing, so the console does not offer to move them.
    """
    extra: dict[str, Any] = {key: value for key, value in (("unit", unit), ("widget", widget), ("is_unordered", is_unordered)) if value}
    if callable(default):
        return Field(default_factory=default, title=title, description=help_text, json_schema_extra=extra, **limits)
    return Field(default, title=title, description=help_text, json_schema_extra=extra, **limits)


M = TypeVar("M", bound=Module)


@dataclass(frozen=True, slots=True)
class Applied(Generic[M]):
    """What is in force in this process, all of one release."""

    value: M
    release: int = 0  # number of the release; 0: nothing was published, these are the defaults
    md5: str = ""
    by_tenant: Mapping[int, M] = field(default_factory=dict)
    #: Numbers of the releases of overrides, which are counted for each tenant apart.
    releases: Mapping[int, int] = field(default_factory=dict)

    def release_of(self, tenant_id: int) -> int:
        """Return the number of the release that decides for a tenant: of its override where there is one."""
        return self.releases.get(tenant_id, self.release)

    def of(self, tenant_id: int) -> M:
        """Return the value for a tenant: with its override where there is one."""
        return self.by_tenant.get(tenant_id, self.value)

    def values(self, tenant_id: int | None) -> "list[M]":
        """Return the values in use: the one of a tenant, or all of them for None."""
        return [self.value, *self.by_tenant.values()] if tenant_id is None else [self.of(tenant_id)]


@dataclass(frozen=True, slots=True)
class Doubt:
    """What may be published and probably does not do what is meant: the path of a field, and a message in the reader's language."""

    field: str
    message: str


class Handle(Generic[M]):
    """A registered module: what it is, and what is in force."""

    def __init__(self, model: type[M], *, name: str, title: str, purpose: str, order: int, per_tenant: frozenset[str]) -> None:
        self.model = model
        self.name = name
        self.title = title
        self.purpose = purpose
        self.order = order
        #: Fields that a tenant may override; empty: none.
        self.per_tenant = per_tenant
        self.now: Applied[M] = Applied(model())
        self.value: M = self.now.value
        #: Set by the app that knows: replays an `Applied` that is not in force, `since`, `until`, of `tenant_id` or of all, and gives a
        #: report. Called by `configcenter.services.what_if`.
        self.what_if: Callable[..., dict[str, Any]] | None = None
        #: Set by the app that knows: tells what a valid value names and what does not exist, for a tenant or, with None, for all.
        self.doubts: Callable[[M, int | None], Iterable[Doubt]] | None = None
        self._listeners: list[Callable[[M], None]] = []

    def of(self, tenant_id: int | None) -> M:
        """Return the value for a tenant: with its override where there is one."""
        now = self.now
        return now.by_tenant.get(tenant_id, now.value) if tenant_id is not None else now.value

    def listen(self, function: Callable[[M], None]) -> Callable[[M], None]:
        """Have `function` called with every new value, in the thread that applies it; usable as a decorator.

        It must return quickly. An exception is logged and does not stop the other listeners.
        """
        self._listeners.append(function)
        return function

    def swap(self, applied: "Applied[M]") -> None:
        """Put a new value in force and call the listeners."""
        self.now = applied
        self.value = applied.value
        for function in self._listeners:
            try:
                function(applied.value)
            except Exception:
                log.exception("configuration listener failed", module=self.name, listener=getattr(function, "__qualname__", str(function)))

    @contextmanager
    def set(self, **changes: Any) -> Iterator[M]:
        """Put other values in force for a `with` block, in this process only: for tests and trials."""
        before = self.now
        changed = self.model.model_validate(before.value.model_dump() | changes)
        self.swap(replace(before, value=changed))
        try:
            yield changed
        finally:
            with suppress(Exception):
                self.swap(before)


_handles: dict[str, Handle[Any]] = {}
_revision = 0


def revision() -> int:
    """Return up to which publish of any module this process knows all; it only grows, unlike the numbers of releases of several items."""
    return _revision


def know_revision(number: int) -> None:
    """Note that all is in force up to a publish; called when it is."""
    global _revision
    _revision = number


def register(model: type[M], *, name: str, title: str, purpose: str, order: int, per_tenant: tuple[str, ...] = ()) -> Handle[M]:
    """Register a module and return its handle. `per_tenant` names the fields that a tenant may override.

    Raises:
        ValueError: the name is taken or not well formed, `per_tenant` names an unknown field, or a field has no title, no default, or a
            default that its own limits refuse.
    """
    if not MODULE_NAME.fullmatch(name):
        raise ValueError(f"The module name {name!r} must be 1 to 40 lower-case letters, digits and _, and start with a letter.")
    if name in _handles:
        raise ValueError(f"module {name} is registered twice")
    unknown = set(per_tenant) - set(model.model_fields)
    if unknown:
        raise ValueError(f"module {name} has no field {', '.join(sorted(unknown))}")
    untitled = [field for field, about in model.model_fields.items() if not about.title]
    if untitled:
        raise ValueError(f"The fields {', '.join(untitled)} of the module {name} need a title: setting(default, title, …).")
    _check_defaults(model, name)
    handle = Handle(model, name=name, title=title, purpose=purpose, order=order, per_tenant=frozenset(per_tenant))
    _handles[name] = handle
    return handle


def _check_defaults(model: type[Module], name: str) -> None:
    """Check the defaults against the module's own limits, which pydantic does not do.

    Raises:
        ValueError: names each field that has no default, or one that is refused.
    """
    missing = [field for field, about in model.model_fields.items() if about.is_required()]
    if missing:
        raise ValueError(f"The fields {', '.join(missing)} of the module {name} need a default.")
    try:
        model.model_validate(model().model_dump())
    except ValidationError as error:
        found = "; ".join(": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors(include_url=False))
        raise ValueError(f"The defaults of the module {name} break its own limits: {found}.") from None


def modules() -> list[Handle[Any]]:
    """Return all modules in display order."""
    return sorted(_handles.values(), key=lambda handle: handle.order)


def module(name: str) -> Handle[Any]:
    """Return one module.

    Raises:
        KeyError: there is no module with that name.
    """
    return _handles[name]


@on_reset
def reset() -> None:
    """Put the defaults of every module in force, for tests."""
    know_revision(0)
    for handle in _handles.values():
        handle.swap(Applied(handle.model()))
