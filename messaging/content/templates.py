"""Templates: what a wording must be and how it looks; and the published ones as accept and deliver use them."""

import re
import threading
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from django.utils.translation import gettext as _

from messaging.channels.channel import EMAIL
from messaging.content.variables import unstorable
from messaging.models import TemplateVersion
from messaging.suppression import unsubscribe
from posthaste.lib import liquid, sms
from posthaste.lib.blank import is_blank, is_blank_html
from posthaste.lib.control_characters import find_control
from posthaste.lib.html import as_text, sanitise
from posthaste.lib.liquid_analysis import fixed_text, max_outputs
from posthaste.lib.problems import Invalid, errors_for
from posthaste.lib.process_state import on_reset

CACHE_SECONDS = 2.0
MAX_VARIABLES = 200  # that a version declares; each row of a batch is checked for those that are required
_BLANKS = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message's text, ready to go out."""

    subject: str
    body: str
    html: str = ""

    def empty_part(self, *, needs_subject: bool) -> str:
        """Return `subject` or `body` if a reader would see nothing there; empty if there is something."""
        if is_blank(self.body) and (not self.html or is_blank_html(self.html)):
            return "body"
        return "subject" if needs_subject and is_blank(self.subject) else ""


@dataclass(frozen=True, slots=True)
class Wording:
    """One version of a template as it is rendered. Published ones never change."""

    version_id: int
    channel: str
    subject: str
    body: str
    html: str
    required: tuple[str, ...]
    category: str = ""  # of messages that name none
    links_to_unsubscribe: bool = False  # uses the built-in variable; False also for a version that declared one of that name itself
    needs_link: bool = False  # uses it bare: without an address a sentence would point to nothing
    always_shows_text: bool = False  # whatever the variables are
    max_outputs: int | None = None  # how many times it writes a variable; None: no limit is known

    @classmethod
    def of(cls, version: TemplateVersion) -> "Wording":
        """Take what rendering needs from a row."""
        required = tuple(v["name"] for v in version.variables if v.get("required", True))
        links = unsubscribe.VARIABLE in version.body + version.html and _links(version)
        return cls(
            version.pk or 0,
            version.template.channel,
            version.subject,
            version.body,
            version.html,
            required,
            version.template.category,
            links,
            links and _needs_link(version),
            _always_shows_text(version),
            _max_outputs(version),
        )

    def render(self, variables: dict[str, Any], *, unsubscribe_url: str | None = None) -> Rendered:
        """Fill in the variables; HTML is sanitised after that, so that nothing can be smuggled in.

        `unsubscribe_url` None: the message has no such address, which `{% if unsubscribe_url %}` tells, and which leaves nothing.

        Raises:
            posthaste.lib.liquid.TemplateProblem: a variable is missing, a limit was reached, or the subject has a control character.
        """
        if self.links_to_unsubscribe:
            variables = {**variables, unsubscribe.VARIABLE: unsubscribe_url}
        subject = _one_line(_fill(self.subject, variables))
        html = sanitise(_fill(self.html, variables, html=True))
        if html and is_blank_html(html):
            html = ""
        return Rendered(subject, self.text(variables) or (as_text(html) if html else ""), html)

    def may_exceed(self, max_bytes: int, *, variables_bytes: int) -> bool:
        """Return whether the text or HTML may be longer than this, without rendering it."""
        if self.max_outputs is None:
            return True
        return 4 * max(len(self.body), len(self.html)) + self.max_outputs * 6 * variables_bytes > max_bytes

    def emptied_by(self, part: str, variables: dict[str, Any]) -> list[str]:
        """Name the variables without a value in a part that rendered to nothing."""
        sources = [self.subject] if part == "subject" else [self.body, self.html]
        used = set().union(*(liquid.variables_used(source) for source in sources if source)) - {unsubscribe.VARIABLE}
        return sorted(name for name in used if _is_empty(variables.get(name)))

    def variables_used(self) -> set[str]:
        """Return the names of the variables that any part of the wording uses."""
        return {name for source in (self.subject, self.body, self.html) if source for name in liquid.variables_used(source)}

    def text(self, variables: dict[str, Any]) -> str:
        """Fill in the plain text alone.

        Raises:
            posthaste.lib.liquid.TemplateProblem: as `render`.
        """
        return _fill(self.body, variables)


def _fill(source: str, variables: dict[str, Any], *, html: bool = False) -> str:
    return liquid.render(liquid.compile_template(source, html), variables) if source else ""


def _one_line(subject: str) -> str:
    """Join the lines that a template is written on.

    Raises:
        posthaste.lib.liquid.TemplateProblem: another control character came with a variable.
    """
    subject = " ".join(_BLANKS.split(subject.strip(" \t\r\n")))
    if found := find_control(subject):
        raise liquid.TemplateProblem(_("The subject contains the control character {character}.").format(character=found))
    return subject


def _is_empty(value: Any) -> bool:
    return is_blank(value) if isinstance(value, str) else value is None or value is False or value in ([], {})


def _always_shows_text(version: TemplateVersion) -> bool:
    if version.template.channel == EMAIL and is_blank(fixed_text(version.subject)):
        return False
    if version.body and not is_blank(fixed_text(version.body)):
        return True
    return bool(version.html) and not is_blank_html(fixed_text(version.html, html=True))


def _max_outputs(version: TemplateVersion) -> int | None:
    counts = [max_outputs(source) for source in (version.body, version.html) if source]
    return None if None in counts else max((count for count in counts if count is not None), default=0)


def _links(version: TemplateVersion) -> bool:
    """Return whether a version uses the built-in variable rather than a declared one with the same name."""
    if any(v["name"] == unsubscribe.VARIABLE for v in version.variables):
        return False
    return any(unsubscribe.VARIABLE in liquid.variables_used(source) for source in (version.body, version.html) if source)


def _needs_link(version: TemplateVersion) -> bool:
    """Whether its examples can be rendered only with an address, as an undefined variable may be tested but not used."""
    shown = examples(version)

    def renders(variables: dict[str, Any]) -> bool:
        try:
            _fill(version.body, variables)
            _fill(version.html, variables, html=True)
        except liquid.TemplateProblem:
            return False
        return True

    return not renders(shown) and renders(shown | {unsubscribe.VARIABLE: unsubscribe.sample_url()})


class TemplateCache:
    """Published templates by (tenant, name), remembered for two seconds; versions by id, for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[tuple[int, str], tuple[float, Wording | None]] = {}

    def published(self, tenant_id: int, name: str) -> Wording | None:
        """Return the published version of a template, if there is one."""
        read_at, wording = self._by_name.get((tenant_id, name), (0.0, None))
        if time.monotonic() - read_at > CACHE_SECONDS:
            row = (
                TemplateVersion.objects.select_related("template")
                .filter(
                    template__tenant_id=tenant_id, template__name=name, template__is_archived=False, state=TemplateVersion.State.PUBLISHED
                )
                .first()
            )
            wording = Wording.of(row) if row else None
            with self._lock:
                if len(self._by_name) > 10_000:
                    self._by_name.clear()
                self._by_name[tenant_id, name] = (time.monotonic(), wording)
        return wording

    def forget(self) -> None:
        """Make the next question read the database."""
        with self._lock:
            self._by_name.clear()


template_cache = TemplateCache()
on_reset(template_cache.forget)


@lru_cache(maxsize=2000)
def wording(version_id: int) -> Wording:
    """Return a pinned version."""
    return Wording.of(TemplateVersion.objects.select_related("template").get(pk=version_id))


on_reset(wording.cache_clear)


def _undeclared(field: str, name: str) -> dict[str, Any]:
    return {"field": field, "code": "undeclared", "message": _("{{{{ {name} }}}} is not declared under variables.").format(name=name)}


def check_wording(*, channel: str, subject: str, body: str, html: str, variables: list[dict[str, Any]]) -> None:
    """Check a draft as far as that is possible before it is rendered.

    Raises:
        Invalid: naming each field.
    """
    errors: list[dict[str, Any]] = []
    if not (body or html):
        errors.append({"field": "body", "code": "required", "message": _("Enter a text.")})
    if html and channel != "email":
        errors.append({"field": "html", "code": "not_allowed", "message": _("Only e-mail has HTML.")})
    if channel == "email" and not subject:
        errors.append({"field": "subject", "code": "required", "message": _("An e-mail needs a subject.")})
    if len(variables) > MAX_VARIABLES:
        errors.append({"field": "variables", "code": "too_many", "message": _("At most {n} variables.").format(n=MAX_VARIABLES)})
    if found := find_control(_BLANKS.sub(" ", subject)):
        said = _("The subject contains the control character {character}.").format(character=found)
        errors.append({"field": "subject", "code": "invalid", "message": said})
    errors += unstorable("variables", {"variables": variables})
    names = set()
    for index, variable in enumerate(variables[:MAX_VARIABLES]):
        name = variable.get("name") if isinstance(variable, dict) else None
        if not isinstance(name, str) or not name.isidentifier():
            errors.append(
                {
                    "field": f"variables[{index}].name",
                    "code": "invalid",
                    "message": _("A name consists of letters, digits and underscores."),
                }
            )
        elif name == unsubscribe.VARIABLE:
            said = _("This variable is built in and filled in for each recipient. Use it without declaring it.")
            errors.append({"field": f"variables[{index}].name", "code": "reserved", "message": said})
        elif name in names:
            errors.append({"field": f"variables[{index}].name", "code": "twice", "message": _("This variable is already declared.")})
        elif unknown := set(variable) - {"name", "required", "example", "description"}:
            errors.append(
                {
                    "field": f"variables[{index}]",
                    "code": "unknown",
                    "message": _("Unknown: {names}.").format(names=", ".join(sorted(unknown))),
                }
            )
        else:
            names.add(name)
    for field, source in (("subject", subject), ("body", body), ("html", html)):
        try:
            used = liquid.variables_used(source) if source else set()
        except liquid.TemplateProblem as problem:
            errors.append({"field": field, "code": "template", "message": str(problem)})
            continue
        if unsubscribe.VARIABLE in used and (channel != EMAIL or field == "subject"):
            said = _("{{ unsubscribe_url }} works only in the text and HTML of e-mails.")
            errors.append({"field": field, "code": "not_allowed", "message": said})
        errors += errors_for(sorted(used - names - {unsubscribe.VARIABLE}), partial(_undeclared, field))
    if errors:
        raise Invalid(errors=errors)


def examples(version: TemplateVersion) -> dict[str, Any]:
    """Return the declared examples, and the variable's own name where there is none."""
    return {v["name"]: v.get("example", v["name"]) for v in version.variables}


def preview(*, version: TemplateVersion, variables: dict[str, Any]) -> dict[str, Any]:
    """Render a version with its examples, overridden by `variables`, and count what an SMS would take.

    The unsubscribe address is a sample, or what `variables` give for it: null shows the text of a message that has none.

    Raises:
        Invalid: it can't be rendered.
    """
    shown = examples(version) | variables
    if errors := unstorable("variables", shown):  # before they are rendered
        raise Invalid(errors=errors)
    try:
        address = variables.get(unsubscribe.VARIABLE, unsubscribe.sample_url())
        rendered = Wording.of(version).render(shown, unsubscribe_url=address)
    except liquid.TemplateProblem as problem:
        raise Invalid.field("variables", str(problem), "template") from None
    answer: dict[str, Any] = {"subject": rendered.subject, "body": rendered.body, "html": rendered.html}
    if version.template.channel == "sms":
        count = sms.count_segments(rendered.body)
        answer["sms"] = {"encoding": count.encoding, "units": count.units, "segments": count.segments}
    return answer
