"""Contact ways: QR codes by which customers add employees. Each is made at WeCom and kept here, as WeCom's console shows none of them.

WeCom is called before the row is written. If the process dies in between, a QR code is left at WeCom that leads to no row: a customer who
scans it is added all the same, and is routed by the rules. The row's lock keeps two changes of one contact way apart.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid, Problem
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.entrances import registry
from routing.entrances.wecom_callback import client_of
from routing.models import ContactWay, Entrance, EntranceKind
from routing.wecom.errors import WeComError

MAX_USERS = 100
#: What WeCom says of a contact way that it does not know (any more).
GONE = 40058
FIELDS = ("name", "users", "group", "tags", "welcome")


class WeComRefused(Problem):
    """WeCom refused the call or did not respond; the detail says why. Nothing was stored."""

    status = 502
    code = "wecom_refused"
    title = gettext_lazy("WeCom refused the call")


def create_contact_way(*, entrance: Entrance, values: Mapping[str, Any], by: Actor, now: datetime) -> ContactWay:
    """Make a QR code at WeCom and store it. `values`: name, state, users, and perhaps group, tags and welcome.

    Raises:
        Invalid: a field is wrong.
        WeComRefused: WeCom did not make it.
    """
    way = ContactWay(tenant_id=entrance.tenant_id, entrance=entrance, created_at=now, **values)
    _check(way)
    if ContactWay.objects.filter(entrance=entrance, state=way.state).exists():
        raise _taken()
    client = client_of(registry.row_of(entrance))
    try:
        made = client.add_contact_way(user_ids=way.users, state=way.state, remark=way.name[:30])
    except WeComError as error:
        raise _refused(error) from None
    way.config_id, way.qr_code = made.config_id, made.qr_code[:500]
    try:
        with transaction.atomic():
            way.save(force_insert=True)
            _record(way, Action.CONTACT_WAY_CREATE, by, name=way.name, state=way.state)
    except IntegrityError:
        with suppress(WeComError):
            client.delete_contact_way(config_id=way.config_id)
        raise _taken() from None
    return way


@transaction.atomic
def change_contact_way(*, way: ContactWay, values: Mapping[str, Any], by: Actor) -> ContactWay:
    """Change a contact way here and at WeCom; its state stays, as customers carry it.

    Raises:
        Invalid: a field is wrong.
        WeComRefused: WeCom did not change it.
        NotFound: it was deleted meanwhile.
    """
    lock(way)
    for name in FIELDS:
        if name in values:
            setattr(way, name, values[name])
    _check(way)
    way.save(update_fields=[name for name in FIELDS if name in values] or None)
    _record(way, Action.CONTACT_WAY_CHANGE, by, fields=sorted(values))
    if way.config_id and {"users", "name"} & set(values):
        try:
            client_of(registry.row_of(way.entrance)).update_contact_way(way.config_id, way.users, state=way.state, remark=way.name[:30])
        except WeComError as error:
            raise _refused(error) from None  # and nothing is stored
    return way


@transaction.atomic
def delete_contact_way(*, way: ContactWay, by: Actor) -> None:
    """Delete a contact way here and at WeCom; its QR code leads nowhere from then on.

    Raises:
        WeComRefused: WeCom did not delete it.
        NotFound: it was deleted meanwhile.
    """
    lock(way)
    _record(way, Action.CONTACT_WAY_DELETE, by, name=way.name, state=way.state)
    config_id, entrance = way.config_id, way.entrance
    way.delete()
    if not config_id:
        return  # never made at WeCom
    try:
        client_of(registry.row_of(entrance)).delete_contact_way(config_id=config_id)
    except WeComError as error:
        if error.code != GONE:
            raise _refused(error) from None


def _check(way: ContactWay) -> None:
    errors = []
    if way.entrance.kind != EntranceKind.WECOM_CONTACT:
        errors.append(("entrance", _("Must be an entrance of the kind WeCom contacts.")))
    if not way.state or len(way.state) > 30 or not way.state.isascii() or not way.state.isprintable():
        errors.append(("state", _("1 to 30 ASCII characters.")))
    if not way.users or len(way.users) > MAX_USERS or not all(isinstance(user, str) and 0 < len(user) <= 64 for user in way.users):
        errors.append(("users", _("1 to {n} user IDs of employees.").format(n=MAX_USERS)))
    if len(way.welcome.encode()) > 4_000:
        errors.append(("welcome", _("At most 4,000 bytes.")))
    if way.group is not None and way.group.tenant_id != way.tenant_id:
        errors.append(("group", _("There is no such skill group.")))
    if errors:
        raise Invalid(errors=[{"field": field, "code": "invalid", "message": said} for field, said in errors])


def _taken() -> Invalid:
    return Invalid.field("state", _("This entrance has a contact way with this state already."), "taken")


def _refused(error: WeComError) -> WeComRefused:
    return WeComRefused(error.said, wecom_code=error.code)


def _record(way: ContactWay, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=way.pk, tenant_id=way.tenant_id, detail=detail)
