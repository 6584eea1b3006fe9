"""Templates as authors change them: made, described, written, published."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.channels.channel import refusal_of
from messaging.content import templates
from messaging.models import Template, TemplateVersion
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock


@transaction.atomic
def create_template(*, template: Template, wording: Mapping[str, Any], publish: bool = False, by: Actor) -> Template:
    """Store a new template with its first draft, published at once if `publish` says so.

    `wording` has `subject`, `body`, `html` and `variables`.

    Raises:
        Invalid: messages of callers can't have this channel, the name is taken, or the wording has mistakes.
    """
    if refusal := refusal_of(template.channel):
        raise Invalid.field("channel", refusal, "not_allowed")
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise Invalid.field("name", _("A template with this name already exists."), "taken") from None
    _write(template, wording, by)
    if publish:
        _publish(template)
    _record(template, Action.TEMPLATE_CREATE, by, published=publish)
    transaction.on_commit(templates.template_cache.forget)
    return template


def change_template(*, template: Template, changes: Mapping[str, Any], by: Actor) -> Template:
    """Change what describes a template, such as `description` and `is_archived`.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    for name, value in changes.items():
        setattr(template, name, value)
    with transaction.atomic():
        lock(template)
        template.save()
        _record(template, Action.TEMPLATE_CHANGE, by, fields=sorted(changes))
    templates.template_cache.forget()
    return template


@transaction.atomic
def save_draft(*, template: Template, wording: Mapping[str, Any], by: Actor) -> TemplateVersion:
    """Write the template's draft, making a new version where there is none.

    Raises:
        Invalid: the wording has mistakes.
    """
    draft = _write(template, wording, by)
    _record(template, Action.TEMPLATE_DRAFT, by, version=draft.number)
    return draft


@transaction.atomic
def publish_draft(*, template: Template, by: Actor) -> TemplateVersion:
    """Make the draft the version that new messages use. Messages under way keep theirs.

    Raises:
        Conflict: there is no draft.
        Invalid: the draft can't be rendered with its own examples.
    """
    version = _publish(template)
    _record(template, Action.TEMPLATE_PUBLISH, by, version=version.number)
    return version


def _write(template: Template, wording: Mapping[str, Any], by: Actor) -> TemplateVersion:
    templates.check_wording(channel=template.channel, **wording)
    lock(template)  # two authors: the second waits, then edits the same draft
    draft = template.versions.filter(state=TemplateVersion.State.DRAFT).first()
    if draft is None:
        newest = template.versions.order_by("-number").first()
        draft = TemplateVersion(template=template, number=newest.number + 1 if newest else 1)
    for name in ("subject", "body", "html", "variables"):
        setattr(draft, name, wording[name])
    draft.created_by = str(by)[:150]
    draft.save()
    return draft


def _publish(template: Template) -> TemplateVersion:
    lock(template)
    draft = template.versions.filter(state=TemplateVersion.State.DRAFT).first()
    if draft is None:
        raise Conflict(_("There is no draft to publish."))
    templates.preview(version=draft, variables={})
    template.versions.filter(state=TemplateVersion.State.PUBLISHED).update(state=TemplateVersion.State.RETIRED)
    draft.state, draft.published_at = TemplateVersion.State.PUBLISHED, timezone.now()
    draft.save()
    transaction.on_commit(templates.template_cache.forget)
    return draft


def _record(template: Template, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=template.name, tenant_id=template.tenant_id, detail=detail)
