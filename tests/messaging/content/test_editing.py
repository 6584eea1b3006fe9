"""A template that was deleted meanwhile is changed no more, and does not come back."""

from collections.abc import Callable
from typing import Any

import pytest

from messaging.content import editing as templates
from messaging.models import Template
from posthaste.lib.problems import NotFound
from tests.builders import TESTER, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


@pytest.mark.parametrize(
    "call",
    [
        lambda template: templates.change_template(template=template, changes={"description": "x"}, by=TESTER),
        lambda template: templates.publish_draft(template=template, by=TESTER),
    ],
)
def test_a_template_that_was_deleted_meanwhile_is_not_found_and_does_not_come_back(call: Callable[[Template], Any]) -> None:
    template = Template.objects.create(tenant=make_tenant(), name="order", channel="sms")
    Template.objects.filter(pk=template.pk).delete()
    with pytest.raises(NotFound):
        call(template)
    assert not Template.objects.exists()
