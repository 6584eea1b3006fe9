"""Intents over the API: texts classified, intents and utterances changed, versions trained and activated."""

from typing import Any

import pytest
from celery import current_app

from accounts.models import KeyKind, Tenant
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceState
from tests.builders import Api, fields_of, json_of, make_api
from tests.routing.intents.builders import make_intent, make_small_set, make_utterance, make_version, small_model

pytestmark = pytest.mark.django_db


def classified(api: Api, body: dict[str, Any]) -> Any:
    answer = api.post("/api/routing/classify/", body)
    assert answer.status_code == 200, answer.content
    return json_of(answer)


def test_texts_are_classified_with_the_active_version_also_by_a_sandbox_key(tenant: Tenant, api: Api) -> None:
    version = make_version(tenant, small_model(), is_active=True)
    found = classified(api, {"texts": ["a cup of tea please", "明天会下雨吗"]})
    assert found["model"] == version.number
    assert found["milliseconds"] > 0
    assert [one["alternatives"][0]["intent"] for one in found["results"]] == ["tea", "weather"]
    assert [one["language"] for one in found["results"]] == ["en", "zh"]
    sandbox = make_api(tenant, "routing:classify", kind=KeyKind.SANDBOX)
    one = classified(sandbox, {"text": "a cup of tea please"})["results"][0]
    assert (one["intent"] is None) == (one["why_not"] is not None)


def test_a_body_has_either_a_text_or_texts_and_not_too_many(api: Api) -> None:
    assert fields_of(api.post("/api/routing/classify/", {})) == ["text"]
    assert fields_of(api.post("/api/routing/classify/", {"text": "a", "texts": ["b"]})) == ["texts"]
    assert fields_of(api.post("/api/routing/classify/", {"texts": ["a"] * 101})) == ["texts"]
    assert fields_of(api.post("/api/routing/classify/", {"texts": []})) == ["texts"]


def test_an_intent_is_made_changed_and_deleted(api: Api, tenant: Tenant) -> None:
    made = json_of(api.post("/api/intents/", {"name": "tea", "title_zh": "茶"}))
    assert (made["title"], made["title_zh"], made["accepted"]) == ("Tea", "茶", 0)
    assert fields_of(api.post("/api/intents/", {"name": "tea"})) == ["name"]
    assert fields_of(api.post("/api/intents/", {"name": "oos"})) == ["name"]
    assert json_of(api.patch("/api/intents/tea/", {"title": "Tea, please"}))["title"] == "Tea, please"
    make_utterance(tenant, intent=Intent.objects.get())
    assert json_of(api.get("/api/intents/tea/"))["accepted"] == 1
    assert api.delete("/api/intents/tea/").status_code == 204
    assert api.get("/api/intents/tea/").status_code == 404


def test_utterances_are_added_found_labelled_and_deleted(api: Api, tenant: Tenant) -> None:
    make_intent(tenant, "tea")
    waiting = make_utterance(tenant, "earl grey", state=UtteranceState.SUGGESTED)
    body = {"utterances": [{"text": "a cup of tea", "intent": "tea"}, {"text": "who won?", "intent": "oos"}]}
    assert json_of(api.post("/api/utterances/", body)) == {"added": 2, "present": 0}
    assert json_of(api.post("/api/utterances/", body)) == {"added": 0, "present": 2}
    wrong = {"utterances": [{"text": "who won?", "intent": "tea"}]}
    assert fields_of(api.post("/api/utterances/", wrong)) == ["utterances[0].text"]
    found = json_of(api.get("/api/utterances/", intent="oos", state="accepted"))["results"]
    assert [(one["text"], one["intent"]) for one in found] == [("who won?", None)]
    assert json_of(api.post("/api/utterances/label/", {"ids": [str(waiting.pk)], "intent": "tea"})) == {"changed": 1}
    assert fields_of(api.post("/api/utterances/label/", {"ids": [str(waiting.pk)], "intent": "coffee"})) == ["intent"]
    one = f"/api/utterances/{waiting.pk}/"
    assert json_of(api.patch(one, {"held_out": True, "intent": ""}))["intent"] is None
    assert json_of(api.patch(one, {"state": "rejected"}))["state"] == "rejected"
    ids = [str(pk) for pk in Utterance.objects.values_list("pk", flat=True)]
    assert json_of(api.post("/api/utterances/delete/", {"ids": ids})) == {"changed": 3}


def test_a_file_is_reported_first_and_stored_when_asked(api: Api, tenant: Tenant) -> None:
    make_intent(tenant, "tea")
    content = b"text,category\na cup of tea,tea\nA cup of tea!,tea\nto Berlin,train\n"
    address = "/api/utterances/import/"
    sent = {"content_type": "text/csv"}
    tried = json_of(api.post(address, content, query_params={"dry_run": "true"}, **sent))
    assert [(one["kind"], one["line"], one["other_line"]) for one in tried["findings"]] == [
        ("duplicate", 3, 2),
        ("unknown_intent", 4, None),
    ]
    assert (tried["new"], tried["is_stored"]) == (1, False)
    assert not json_of(api.post(address, content, **sent))["is_stored"]
    assert not Utterance.objects.exists()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    form = head + content + b"\r\n--x--\r\n"
    stored = json_of(
        api.post(address, form, query_params={"skip": "true", "create_intents": "true"}, content_type="multipart/form-data; boundary=x")
    )
    assert (stored["is_stored"], stored["intents"], Utterance.objects.count()) == (True, ["train"], 2)
    assert api.post(address, b"text\nonly", **sent).status_code == 422
    assert api.post(address, {"text": "no file"}).status_code == 415
    assert api.post(address).status_code == 422


def test_a_version_is_trained_looked_at_cancelled_and_activated(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    published: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_options: published.append(name))
    assert api.post("/api/intent-models/", {}).status_code == 422
    make_small_set(tenant)
    with django_capture_on_commit_callbacks(execute=True):
        answer = api.post("/api/intent-models/", {"activates_if_better": True})
    assert (answer.status_code, published) == (202, ["routing.train"])
    number = json_of(answer)["number"]
    assert api.post("/api/intent-models/", {}).status_code == 409
    assert json_of(api.get(f"/api/intent-models/{number}/"))["state"] == "training"
    assert json_of(api.post(f"/api/intent-models/{number}/cancel/"))["state"] == "cancelled"
    assert api.post(f"/api/intent-models/{number}/activate/").status_code == 409
    ready = make_version(tenant, state=ModelState.READY, evaluation={"accuracy": 0.97})
    assert json_of(api.post(f"/api/intent-models/{ready.number}/activate/"))["is_active"]
    assert [one["accuracy"] for one in json_of(api.get("/api/intent-models/"))["results"]] == [0.97, None]


@pytest.mark.usefixtures("few_examples")
def test_the_starting_set_is_loaded_over_the_api(api: Api, tenant: Tenant) -> None:
    first, again = (json_of(api.post("/api/intents/starting-set/")) for _time in range(2))
    assert (first["version"], again) == (1, {"intents": 0, "utterances": 0, "version": 0})
    assert IntentModel.objects.get().is_active
    assert classified(api, {"text": "Where is my parcel?"})["model"] == 1


def test_a_key_that_may_only_write_is_not_shown_what_is_stored(tenant: Tenant) -> None:
    writes = make_api(tenant, "intents:write")
    assert set(json_of(writes.post("/api/intents/", {"name": "tea"}))) == {"id", "name"}
    assert writes.get("/api/intents/").status_code == 403
