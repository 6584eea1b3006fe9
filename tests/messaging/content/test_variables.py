"""Variables that are too large are refused by their size, before a template sees them."""

from typing import Any

import pytest

from messaging.content import templates
from messaging.models import Message
from posthaste.lib import liquid
from posthaste.lib.problems import Invalid
from tests.builders import fields_of, json_of, make_api, make_template, make_tenant, published

pytestmark = pytest.mark.django_db
LARGE = "2020-01-01 " * 300_000
WORDING: dict[str, Any] = {"body": "{{ v | date: '%Y' }}", "variables": [{"name": "v", "required": True, "example": "2020-01-01"}]}


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is rendered."""
    seen: list[str] = []
    usual = liquid.render

    def render(template: liquid.CompiledTemplate, variables: dict[str, Any]) -> str:
        seen.append(template.source)
        return usual(template, variables)

    monkeypatch.setattr(liquid, "render", render)
    return seen


@pytest.mark.parametrize("variables", [{"v": LARGE}, {"v": "2020", "more": LARGE}, {"v": ["x"] * 100_000}])
def test_a_message_is_refused_by_the_size_of_its_variables(variables: dict[str, Any], rendered: list[str]) -> None:
    tenant = make_tenant()
    template = make_template(tenant, name="dated", **WORDING)
    api = make_api(tenant)
    rendered.clear()
    body = {"channel": "sms", "recipient": "+8613812345678", "template": template.name, "variables": variables}
    answer = api.post("/api/messages/", body)
    assert (fields_of(answer), json_of(answer)["errors"][0]["code"]) == (["variables"], "too_long")
    rows = [{"recipient": "+8613812345678", "variables": variables}]
    batch = api.post("/api/messages/batch", {"channel": "sms", "template": template.name, "recipients": rows})
    assert fields_of(batch) == ["recipients[0].variables"]
    assert rendered == []
    assert not Message.objects.exists()


def test_a_preview_is_refused_by_the_size_of_its_variables(rendered: list[str]) -> None:
    version = published(make_template(make_tenant(), **WORDING))
    rendered.clear()
    with pytest.raises(Invalid) as refusal:
        templates.preview(version=version, variables={"v": LARGE})
    assert [error["code"] for error in refusal.value.errors] == ["too_long"]
    version.variables = [{"name": "v", "example": LARGE}]  # a draft that is being written
    with pytest.raises(Invalid):
        templates.preview(version=version, variables={})
    assert rendered == []


def test_examples_that_are_too_large_are_not_saved(rendered: list[str]) -> None:
    variables = [{"name": "v", "example": LARGE}]
    with pytest.raises(Invalid) as refusal:
        templates.check_wording(channel="sms", subject="", body=WORDING["body"], html="", variables=variables)
    assert ("variables", "too_long") in [(error["field"], error["code"]) for error in refusal.value.errors]
    assert rendered == []
