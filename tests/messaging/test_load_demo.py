"""`manage.py load_demo`: what an installation shows before it has anything of its own."""

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import AuditEntry, Member, Tenant, User
from messaging.channels.registry import CHANNELS

pytestmark = pytest.mark.django_db


def test_all_that_is_made_is_written_down_once(tmp_path: Path) -> None:
    output = tmp_path / "demo.json"
    call_command("load_demo", "--output", str(output))
    entries = AuditEntry.objects.order_by("id")
    assert {entry.actor for entry in entries} == {"command:load_demo"}
    made = [entry.action for entry in entries]
    assert made[:5] == ["tenant.create", "user.create", "member.create", "key.issue", "key.issue"]
    assert made[5:] == ["provider.create"] * len(CHANNELS) + ["template.create"] * 3
    call_command("load_demo", "--output", str(output))
    assert entries.count() == len(made)


def test_a_password_that_does_not_work_any_more_is_set_anew(tmp_path: Path) -> None:
    output = tmp_path / "demo.json"
    call_command("load_demo", "--output", str(output))
    admin = User.objects.get(username="admin")
    admin.set_password("another")
    admin.save()
    Tenant.objects.filter(slug="demo").update(is_operator=False)
    Member.objects.all().delete()
    AuditEntry.objects.all().delete()
    call_command("load_demo", "--output", str(output))
    actions = [*AuditEntry.objects.order_by("id").values_list("action", flat=True)]
    assert actions == ["tenant.change", "user.password", "member.create"]
    assert User.objects.get(username="admin").check_password(json.loads(output.read_text())["admin"]["password"])
