"""Intents and utterances as people change them: nothing twice, nothing contradictory, nothing half-stored."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from posthaste.lib.problems import Conflict, Invalid
from routing.intents import csv_import, editing, starting_rows, suggestions, utterances, versions
from routing.intents.text_keys import anonymized, is_held_out, text_key
from routing.intents.utterances import NewUtterance, add_utterances
from routing.models import AuthorKind, Intent, IntentModel, Line, ModelState, Utterance, UtteranceSource, UtteranceState
from tests.builders import TESTER, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_identity
from tests.routing.intents.builders import make_intent, make_utterance, make_version

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def actions(tenant: Tenant) -> list[str]:
    return list(AuditEntry.objects.filter(tenant=tenant).order_by("pk").values_list("action", flat=True))


def codes(problem: Invalid) -> list[tuple[str, str]]:
    return [(str(error["field"]), str(error["code"])) for error in problem.errors]


# --- texts ----------------------------------------------------------------------------------------------------


def test_texts_that_differ_in_nothing_that_matters_have_one_key() -> None:
    same = ["Where is my order?", "where is my ORDER", "  where  is my order … ", "ｗhere is my order？"]
    assert len({text_key(text) for text in same}) == 1
    assert text_key("我的订单呢？") == text_key("我的订单呢")
    assert len({text_key(text) for text in ("?", "!", "where is my order no. 2", "where is my order no. 3")}) == 4


def test_about_one_text_in_four_is_held_out_and_always_the_same() -> None:
    keys = [text_key(f"text number {number}") for number in range(400)]
    assert 70 < sum(map(is_held_out, keys)) < 130


def test_a_customers_text_is_kept_without_what_tells_who_wrote_it() -> None:
    text = "I'm ada@example.com, call 138 1234-5678 about order 99127761 for 25 euros: https://shop.example/o/1?t=x"
    kept = anonymized(text)
    assert kept == "I'm name@example.com, call 000 0000-0000 about order 00000000 for 25 euros: https://example.com"


# --- intents --------------------------------------------------------------------------------------------------


def test_an_intent_is_made_once_changed_and_deleted_with_its_utterances(tenant: Tenant) -> None:
    made = editing.create_intent(tenant_id=tenant.pk, name="order_status", by=TESTER, now=NOW)
    assert made.title == "Order status"
    with pytest.raises(Invalid):
        editing.create_intent(tenant_id=tenant.pk, name="order_status", by=TESTER, now=NOW)
    for wrong in ("oos", "a b", ""):
        with pytest.raises(Invalid):
            editing.create_intent(tenant_id=tenant.pk, name=wrong, by=TESTER, now=NOW)
    editing.change_intent(intent=made, changes={"title": "Order status", "title_zh": "订单状态"}, by=TESTER)
    make_utterance(tenant, intent=made)
    assert editing.delete_intent(intent=made, by=TESTER) == 1
    assert not Utterance.objects.exists()
    assert actions(tenant) == ["intent.create", "intent.change", "intent.delete"]


# --- utterances -----------------------------------------------------------------------------------------------


def test_the_same_texts_added_again_change_nothing(tenant: Tenant) -> None:
    make_intent(tenant, "tea")
    entries = [NewUtterance("A cup of tea", "tea"), NewUtterance("who won?"), NewUtterance("a cup of TEA!", "tea")]
    first = add_utterances(tenant_id=tenant.pk, entries=entries, by=TESTER, now=NOW)
    again = add_utterances(tenant_id=tenant.pk, entries=entries, by=TESTER, now=NOW)
    assert ((first.added, first.present), (again.added, again.present)) == ((2, 1), (0, 3))
    assert list(Utterance.objects.order_by("pk").values_list("text", "intent__name", "state")) == [
        ("A cup of tea", "tea", "accepted"),
        ("who won?", None, "accepted"),
    ]
    assert actions(tenant) == ["utterances.change"]


def test_wrong_and_contradictory_texts_are_named_and_nothing_is_added(tenant: Tenant) -> None:
    tea = make_intent(tenant, "tea")
    make_intent(tenant, "train")
    make_utterance(tenant, "a cup of tea", tea)
    entries = [
        NewUtterance("  ", "tea"),
        NewUtterance("x" * 1001, "tea"),
        NewUtterance("hello", "coffee"),
        NewUtterance("platform", "train"),
    ]
    with pytest.raises(Invalid) as found:
        add_utterances(tenant_id=tenant.pk, entries=[*entries, NewUtterance("Platform!", "tea")], by=TESTER, now=NOW)
    assert codes(found.value) == [
        ("utterances[0].text", "blank"),
        ("utterances[1].text", "max_length"),
        ("utterances[2].intent", "unknown"),
        ("utterances[4].text", "contradiction"),
    ]
    with pytest.raises(Invalid) as found:
        add_utterances(tenant_id=tenant.pk, entries=[entries[3], NewUtterance("A cup of tea?", "train")], by=TESTER, now=NOW)
    assert codes(found.value) == [("utterances[1].text", "contradiction")]
    assert Utterance.objects.count() == 1


def test_labelling_rejecting_and_deleting_touch_only_the_tenants_own_texts(tenant: Tenant) -> None:
    tea, other = make_intent(tenant, "tea"), make_tenant("Other")
    mine, theirs = make_utterance(tenant, state=UtteranceState.SUGGESTED), make_utterance(other, state=UtteranceState.SUGGESTED)
    own = {"tenant_id": tenant.pk, "ids": [mine.pk, theirs.pk], "by": TESTER}
    assert utterances.label_utterances(**own, intent=tea) == 1  # type: ignore[arg-type]
    assert utterances.set_held_out(**own, held_out=True) == 1  # type: ignore[arg-type]
    assert utterances.reject_utterances(**own) == 1  # type: ignore[arg-type]
    assert utterances.delete_utterances(**own) == 1  # type: ignore[arg-type]
    assert Utterance.objects.get().state == UtteranceState.SUGGESTED


# --- a file ---------------------------------------------------------------------------------------------------

FILE = (
    "text,category,language,part\r\n"
    "a cup of tea,tea,,held_out\r\n"
    "A cup of tea!,tea,,\r\n"
    "when does the train leave,train,,\r\n"
    "when does the train leave,weather,,\r\n"
    '"will it rain\n tomorrow, or not",weather,en,train\r\n'
    "will it rain tomorrow or  not?,weather,,\r\n"
    "who won the election,oos,,\r\n"
    "already there,tea,,\r\n"
    "already elsewhere,tea,,\r\n"
    "明天会下雨吗,weather,,\r\n"
).encode()


def test_a_file_is_checked_with_line_numbers_and_stored_only_afterwards(tenant: Tenant) -> None:
    tea, other = make_intent(tenant, "tea"), make_intent(tenant, "other")
    make_utterance(tenant, "already there", tea)
    make_utterance(tenant, "Already elsewhere", other)
    strict = csv_import.check_file(tenant_id=tenant.pk, content=FILE, create_intents=False)
    assert {one.kind for one in strict.findings} >= {"unknown_intent"}
    report = csv_import.check_file(tenant_id=tenant.pk, content=FILE, create_intents=True)
    found = sorted((one.line, one.kind, one.other_line) for one in report.findings if one.kind != "near_double")
    assert (3, "duplicate", 2) in found
    assert (5, "contradiction", 4) in found
    assert (11, "contradiction", None) in found
    assert (report.rows, report.present, report.intents) == (10, 1, ["weather"])
    assert Utterance.objects.count() == 2
    assert not Intent.objects.filter(name="weather").exists()
    added = csv_import.import_file(tenant_id=tenant.pk, report=report, by=TESTER, now=NOW)
    assert added == len(report.entries)
    assert Utterance.objects.get(text="a cup of tea").held_out
    assert Utterance.objects.get(text="明天会下雨吗").language == "zh"
    assert Utterance.objects.get(text="who won the election").intent is None
    assert csv_import.check_file(tenant_id=tenant.pk, content=FILE, create_intents=True).entries == []


@pytest.mark.parametrize("content", [b"", b"text\nhello\n", b"text,category\n\xff\xfe,tea\n", b'text,category\n"open,tea\n'])
def test_a_file_that_can_not_be_read_says_where(tenant: Tenant, content: bytes) -> None:
    with pytest.raises(Invalid) as found:
        csv_import.check_file(tenant_id=tenant.pk, content=content, create_intents=True)
    assert found.value.errors[0]["message"]


# --- the starting set -----------------------------------------------------------------------------------------


def test_the_starting_set_is_loaded_once_and_changes_nothing_that_is_there(tenant: Tenant) -> None:
    make_intent(tenant, "order_status", title="My own title")
    loaded = starting_rows.load_starting_set(tenant_id=tenant.pk, by=TESTER, now=NOW)
    assert (loaded.intents, loaded.version) == (Intent.objects.filter(tenant=tenant).count() - 1, 1)
    assert loaded.utterances == Utterance.objects.filter(tenant=tenant).count() > 2_000
    assert Intent.objects.get(name="order_status").title == "My own title"
    assert Intent.objects.get(name="human_please").title_zh in ("转人工", "转人工客服", "要求人工")
    assert {language for (language,) in Utterance.objects.values_list("language").distinct()} == {"en", "zh"}
    assert Utterance.objects.filter(held_out=True).exists()
    assert IntentModel.objects.get().is_active
    assert starting_rows.load_starting_set(tenant_id=tenant.pk, by=TESTER, now=NOW) == (0, 0, 0)
    assert actions(tenant) == ["utterances.import"]


# --- suggestions ----------------------------------------------------------------------------------------------


def test_the_least_sure_texts_are_suggested_once_and_without_names(tenant: Tenant) -> None:
    talk = make_conversation(make_identity(make_customer(tenant)))
    make_intent(tenant, "tea")
    said = [("call me at 13812345678 about tea", 0.3), ("something else entirely", 0.5), ("a cup of tea", 0.95), ("hm", 0.1)]
    for seq, (text, confidence) in enumerate(said, 1):
        recognition = {"intent": "", "confidence": confidence, "alternatives": [["tea", confidence]], "language": "en", "model": 1}
        Line.objects.create(
            tenant=tenant, conversation=talk, seq=seq, author=AuthorKind.CUSTOMER, text=text, recognition=recognition, created_at=NOW
        )
    assert suggestions.collect_unsure_texts(now=NOW + timedelta(minutes=1)) == 2
    assert suggestions.collect_unsure_texts(now=NOW + timedelta(minutes=1)) == 0
    rows = Utterance.objects.order_by("confidence")
    assert [(row.text, row.guess, row.confidence, row.state, row.source) for row in rows] == [
        ("call me at 00000000000 about tea", "tea", 0.3, "suggested", "unsure"),
        ("something else entirely", "tea", 0.5, "suggested", "unsure"),
    ]


def test_a_busy_tenant_keeps_no_other_from_being_asked(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "OF_A_TENANT", 2)
    quiet = make_tenant("Quiet")
    for owner, number in ((quiet, 1), (tenant, 4)):
        talk = make_conversation(make_identity(make_customer(owner)))
        Line.objects.bulk_create(
            Line(
                tenant=owner,
                conversation=talk,
                seq=seq,
                author=AuthorKind.CUSTOMER,
                text=f"unsure of {'abcd'[seq - 1] * 5}",
                recognition={"intent": "tea", "confidence": 0.4},
                created_at=NOW,
            )
            for seq in range(1, number + 1)
        )
    assert suggestions.collect_unsure_texts(now=timezone.now()) == 3
    assert Utterance.objects.filter(tenant=quiet).count() == 1


def test_a_correction_is_suggested_in_place_of_a_guess_and_undoes_no_decision(tenant: Tenant) -> None:
    tea = make_intent(tenant, "tea")
    make_utterance(tenant, "earl grey?", state=UtteranceState.SUGGESTED, source=UtteranceSource.UNSURE)
    make_utterance(tenant, "rejected text", state=UtteranceState.REJECTED)
    told = {"tenant_id": tenant.pk, "intent": "tea", "line_id": None, "author": "user:ada", "now": NOW}
    assert [suggestions.suggest_correction(text=text, **told) for text in ("new one", "Earl Grey", "rejected text")] == [True, False, False]  # type: ignore[arg-type]
    found = {row.text: (row.state, row.intent) for row in Utterance.objects.all()}
    assert found == {"new one": ("suggested", tea), "earl grey?": ("suggested", tea), "rejected text": ("rejected", None)}


# --- versions -------------------------------------------------------------------------------------------------


def test_one_version_is_active_and_an_older_one_can_be_again(tenant: Tenant) -> None:
    first, second, failed = make_version(tenant), make_version(tenant), make_version(tenant, state=ModelState.FAILED)
    for model in (first, second, first):
        versions.activate_model(model=model, by=TESTER, now=NOW)
    assert list(IntentModel.objects.filter(is_active=True)) == [first]
    for wrong in (first, failed):
        with pytest.raises(Conflict):
            versions.activate_model(model=wrong, by=TESTER, now=NOW)
    entries = AuditEntry.objects.filter(action="intent_model.activate").order_by("pk")
    assert [entry.detail for entry in entries] == [
        {"version": first.number, "before": 0},
        {"version": second.number, "before": first.number},
        {"version": first.number, "before": second.number},
    ]


def test_the_newest_versions_and_the_active_one_are_kept(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "KEPT", 2)
    active, old, *newest = (make_version(tenant) for _number in range(4))
    versions.activate_model(model=active, by=TESTER, now=NOW)
    make_version(tenant, state=ModelState.FAILED, created_at=NOW - timedelta(days=31))
    lately = make_version(tenant, state=ModelState.FAILED, created_at=NOW)
    assert versions.remove_old_models(now=NOW) == 2
    assert set(IntentModel.objects.all()) == {active, *newest, lately}
    assert not IntentModel.objects.filter(pk=old.pk).exists()
