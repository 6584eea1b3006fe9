"""Users and their memberships in tenants."""

from collections.abc import Iterable

from django.db import transaction

from accounts.actions import Action
from accounts.models import Member, User
from accounts.services import access_notices, audit
from accounts.services.audit import Actor


@transaction.atomic
def create_user(*, user: User, by: Actor) -> User:
    """Store a new user."""
    user.save()
    audit.record(by=by, action=Action.USER_CREATE, target=user.pk, detail={"name": user.get_username()})
    return user


@transaction.atomic
def change_user(*, user: User, fields: Iterable[str], by: Actor) -> User:
    """Store a changed user; `fields` are the names of those that changed."""
    user.save()
    audit.record(by=by, action=Action.USER_CHANGE, target=user.pk, detail={"name": user.get_username(), "fields": sorted(fields)})
    access_notices.notify_after_commit()
    return user


@transaction.atomic
def set_password(*, user: User, by: Actor) -> None:
    """Store a user's new password, which was set on the row (`user.set_password`)."""
    user.save()
    audit.record(by=by, action=Action.USER_PASSWORD, target=user.pk, detail={"name": user.get_username()})
    access_notices.notify_after_commit()


@transaction.atomic
def delete_user(*, user: User, by: Actor) -> None:
    """Delete a user with their memberships."""
    for member in Member.objects.select_related("user").filter(user=user):
        remove_member(member=member, by=by)
    audit.record(by=by, action=Action.USER_DELETE, target=user.pk, detail={"name": user.get_username()})
    user.delete()
    access_notices.notify_after_commit()


@transaction.atomic
def add_member(*, member: Member, by: Actor) -> Member:
    """Give a user a role in a tenant."""
    member.save()
    _record(member, Action.MEMBER_CREATE, by)
    return member


@transaction.atomic
def change_member(*, member: Member, by: Actor) -> Member:
    """Store a member's new role."""
    was = Member.objects.values_list("role", flat=True).get(pk=member.pk)
    member.save()
    _record(member, Action.MEMBER_CHANGE, by, was=str(was))
    access_notices.notify_after_commit()
    return member


@transaction.atomic
def remove_member(*, member: Member, by: Actor) -> None:
    """Take a user's role in a tenant away."""
    _record(member, Action.MEMBER_DELETE, by)
    member.delete()
    access_notices.notify_after_commit()


def _record(member: Member, action: Action, by: Actor, **detail: str) -> None:
    detail = {"user": member.user.get_username(), "role": str(member.role), **detail}
    audit.record(by=by, action=action, target=member.pk, tenant_id=member.tenant_id, detail=detail)
