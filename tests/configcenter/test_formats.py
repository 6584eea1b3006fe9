"""Texts made to occupy or to break what checks and compares them: refused at once, as clearly as a text with an error."""

import orjson
import pytest
from django.utils import timezone

from configcenter.services import drafts, formats, items, releases, transfer
from posthaste.lib.problems import Invalid
from tests.builders import Api, actor, fields_of, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
ITEMS = "/api/config/items/"
ONES = "".join(f"b{n} = 1\n" for n in range(3_000))
ENTITIES = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' if n else 'x'}'>" for n in range(24_000))
ATTRIBUTES = " ".join(f"a{n} CDATA ''" for n in range(20_000))
#: Each took the parser the square of its length, or more stack than there is.
MADE_FOR_IT = {
    "TOML: a deep table": ("toml", f"[a{'.a' * 3_000}]\n{ONES}"),
    "TOML: a dotted key": ("toml", f"a{'.a' * 8_000} = 1\n"),
    "TOML: a dotted key inside a table": ("toml", "a = { b" + ' . "c"' * 8_000 + " = 1 }\n"),
    "TOML: nested arrays": ("toml", f"a = {'[' * 5_000}{']' * 5_000}\n"),
    "YAML: tags": ("yaml", "".join(f"%TAG !{n}! b\n" for n in range(60_000)) + "--- x\n"),
    "YAML: tags, with the line break of old Macs": ("yaml", "".join(f"%TAG !{n}! b\r" for n in range(60_000)) + "--- x\n"),
    "YAML: nested": ("yaml", "[" * 100_000),
    "XML: a chain of entities": ("xml", f"<!DOCTYPE r [{ENTITIES}]><r>&e23999;</r>"),
    "XML: attributes of each element": ("xml", f"<!DOCTYPE r [<!ATTLIST b {ATTRIBUTES}>]><r>{'<b/>' * 100_000}</r>"),
    "JSON: arrays": ("json", f"{'[' * 950}1{']' * 950}"),
    "JSON: objects": ("json", '{"a":' * 201 + "1" + "}" * 201),
    "JSON: deeper than any parser takes": ("json", f"{'[' * 100_000}{']' * 100_000}"),
}
USUAL = {
    "toml": "[a.b.c.d]\n" + ONES + "e.f = { g.h = [[1]] }\n",
    "yaml": "%TAG ! tag:example.com,2026:\n--- !a\nb: [1]\n",
    "xml": "<!DOCTYPE r [<!ENTITY a 'x'><!ATTLIST r b CDATA 'c'>]><r>&a;</r>",
    "json": f"{'[' * 200}{']' * 200}",
    "properties": "a=\\u0041" + "\\\\" * 100_000,
}


@pytest.fixture
def api() -> Api:
    return make_api(make_tenant("Shop"))


@pytest.mark.parametrize("kind", MADE_FOR_IT)
def test_a_text_made_to_occupy_its_parser_is_refused_at_every_entrance(kind: str, api: Api) -> None:
    format, content = MADE_FOR_IT[kind]
    path = f"{ITEMS}public/DEFAULT_GROUP/made/"
    assert api.post(ITEMS, {"data_id": "made", "format": format}).status_code == 201
    for entrance, body in (("validate", {"content": content}), ("publish", {"content": content})):
        refused = api.post(f"{path}{entrance}/", body)
        assert (refused.status_code, fields_of(refused)) == (422, ["content"]), entrance
    kept = api.put(f"{path}draft/", {"content": content, "based_on": 0})
    assert [entry["field"] for entry in json_of(kept)["errors"]] == ["content"]
    entry = {"namespace": "public", "group": "G", "data_id": "other", "content": content, "format": format}
    document = {"kind": transfer.KIND, "version": transfer.VERSION, "items": [entry]}
    with pytest.raises(Invalid):
        transfer.import_(data=orjson.dumps(document), policy="overwrite", dry_run=False, by=actor("user:ada"))


@pytest.mark.parametrize("format", USUAL)
def test_usual_texts_are_within_the_bounds(format: str) -> None:
    item = items.create_item(namespace=items.default_namespace(None), group="G", data_id="d", format=format, by=actor("user:ada"))
    made = releases.publish(item=item, content=USUAL[format], comment="", by=actor("user:ada"))
    assert made.content == USUAL[format]


def test_toml_that_few_programs_read_is_refused() -> None:
    with pytest.raises(Invalid, match=r"invalid") as refused:
        formats.check("toml", "a = { b = 1, }\n")
    assert "line 1, column 14" in refused.value.errors[0]["message"]


@pytest.mark.parametrize("depth", [201, 300, 950])
def test_a_module_with_a_field_that_nests_deep_is_refused(depth: int) -> None:
    item = items.module_item("links_and_cache")
    with pytest.raises(Invalid):
        releases.publish(item=item, content=f'{{"a": {"[" * depth}{"]" * depth}}}', comment="", by=actor("user:ada"))
    assert item.current is None


@pytest.mark.parametrize("depth", [200, 300, 950])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/config/modules/links_and_cache/validate/", '{"content": {"a": DEEP}}'),
        ("PUT", "/api/config/modules/links_and_cache/draft/", '{"content": {"a": DEEP}, "based_on": 0}'),
        ("POST", "/api/config/modules/links_and_cache/publish/", '{"content": {"a": DEEP}}'),
        ("POST", "/api/config/modules/flow_rules/what-if/", '{"value": {"a": DEEP}}'),
        ("POST", "/api/templates/", '{"name": "t", "channel": "sms", "body": "x", "variables": [{"name": "a", "example": DEEP}]}'),
    ],
)
def test_a_body_that_nests_too_deep_is_refused_at_every_entrance(method: str, path: str, body: str, depth: int) -> None:
    api = make_api(make_tenant("Operator", is_operator=True))
    refused = api.request(method, path, body.replace("DEEP", "[" * depth + "]" * depth))
    assert (refused.status_code, json_of(refused)["code"]) == (400, "malformed")


@pytest.mark.parametrize("depth", [201, 300, 950])
def test_a_draft_that_nests_too_deep_is_shown_as_its_text(depth: int) -> None:
    api = make_api(make_tenant("Operator", is_operator=True))
    text = f'{{"a": {"[" * depth}{"]" * depth}}}'
    drafts.save_draft(item=items.module_item("links_and_cache"), content=text, based_on=0, by=actor("user:ada"), now=timezone.now())
    shown = json_of(api.get("/api/config/modules/links_and_cache/"))
    assert isinstance(shown["draft"]["content"], str)
