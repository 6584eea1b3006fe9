"""The pages of intents: what they show, and what each role may do there."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.intents import training
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceSource, UtteranceState
from tests.builders import make_tenant
from tests.routing.intents.builders import make_intent, make_small_set, make_utterance, make_version

pytestmark = pytest.mark.django_db
EVALUATION: dict[str, Any] = {
    "texts": 20, "accuracy": 0.95, "accepted_accuracy": 0.98, "macro_f1": 0.94, "measured_with": "held_out", "trained_with": 60,
    "out_of_scope": {"texts": 4, "recall": 0.75, "false_rejections": 0.05},
    "intents": [{"intent": "tea", "texts": 10, "precision": 0.9, "recall": 1.0, "f1": 0.947}, {"intent": "gone", "texts": 0, "f1": 0}],
    "confusions": [{"intent": "train", "found": None, "texts": 1}, {"intent": "train", "found": "tea", "texts": 1}],
    "calibration": {"error": 0.031, "bins": [{"from": 0.9, "to": 1.0, "texts": 12, "confidence": 0.95, "accuracy": 0.97}]},
    "coverage": [{"percent": 90, "accuracy": 0.99, "confidence": 0.6}],
    "compared": {"version": 7, "accuracy": 0.9, "macro_f1": 0.89, "intents": [{"intent": "tea", "f1": 0.8}]},
}  # fmt: skip


def staff(tenant: Tenant, role: str = Role.AUTHOR) -> Client:
    user = User.objects.create(username=f"{role}-{tenant.slug}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, name: str, *args: Any, status: int = 200, **query: Any) -> str:
    answer = client.get(reverse(f"admin:routing_{name}", args=args), query)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def test_the_list_of_intents_shows_texts_by_language_and_the_f1_of_the_active_version(
    tenant: Tenant, django_assert_max_num_queries: Any
) -> None:
    make_small_set(tenant, held_out=2)
    Utterance.objects.filter(text__contains="茶").update(language="zh")
    make_version(tenant, is_active=True, evaluation=EVALUATION)
    client = staff(tenant)
    page(client, "intent_changelist")
    with django_assert_max_num_queries(12):
        shown = page(client, "intent_changelist")
    assert "94.7" in shown
    assert "zh" in shown
    one = page(client, "intent_change", Intent.objects.get(name="tea").pk)
    assert "black tea with milk" in one


def test_texts_are_labelled_in_the_queue_with_one_save(tenant: Tenant) -> None:
    tea, client = make_intent(tenant, "tea"), staff(tenant)
    correction = make_utterance(tenant, "earl grey", tea, state=UtteranceState.SUGGESTED, source=UtteranceSource.CORRECTION)
    unsure, nonsense, later = (
        make_utterance(tenant, text, state=UtteranceState.SUGGESTED, source=UtteranceSource.UNSURE, guess="tea", confidence=0.4)
        for text in ("who won", "asdf", "perhaps")
    )
    shown = page(client, "utterance_label")
    assert shown.count('<option value="tea" selected>') == 1
    chosen = {f"label-{correction.pk}": "tea", f"label-{unsure.pk}": "oos", f"label-{nonsense.pk}": "-", f"label-{later.pk}": ""}
    answer = client.post(reverse("admin:routing_utterance_label"), {"tenant": tenant.pk, **chosen})
    assert answer.status_code == 302
    found = {row.text: (row.state, row.intent_id) for row in Utterance.objects.all()}
    assert found == {
        "earl grey": ("accepted", tea.pk), "who won": ("accepted", None), "asdf": ("rejected", None), "perhaps": ("suggested", None)
    }  # fmt: skip
    other = make_tenant("Other")
    assert client.post(reverse("admin:routing_utterance_label"), {"tenant": other.pk, **chosen}).status_code == 403
    assert staff(other, Role.VIEWER).get(reverse("admin:routing_utterance_label")).status_code == 403


def test_a_file_is_imported_after_its_preview_was_confirmed(tenant: Tenant) -> None:
    client, address = staff(tenant), reverse("admin:routing_utterance_import")
    file = SimpleUploadedFile("texts.csv", "text,category\na cup of tea,tea\na cup of TEA,tea\n请给我一杯茶,tea\n".encode())
    shown = client.post(address, {"tenant": tenant.pk, "file": file, "create_intents": "1"})
    assert "Double" in shown.content.decode()
    assert not Utterance.objects.exists()
    sent = {"tenant": tenant.pk, "data": shown.context["data"], "create_intents": "1", "apply": "1"}
    assert client.post(address, sent).status_code == 302
    assert (Utterance.objects.count(), Intent.objects.get().name) == (2, "tea")
    broken = client.post(address, {"tenant": tenant.pk, "file": SimpleUploadedFile("x.csv", b"text\nhello\n")})
    assert (broken.status_code, "Nothing was imported" in broken.content.decode()) == (422, True)


def test_texts_of_the_list_are_accepted_as_one_intent(tenant: Tenant) -> None:
    tea, client = make_intent(tenant, "tea"), staff(tenant)
    rows = [make_utterance(tenant, state=UtteranceState.SUGGESTED) for _number in range(3)]
    make_intent(make_tenant("Other"), "of-another-tenant")
    shown = page(client, "utterance_changelist")
    assert '<option value="tea">' in shown
    assert "of-another-tenant" not in shown
    sent = {"action": "accept", "intent": "tea", "_selected_action": [row.pk for row in rows[:2]]}
    client.post(reverse("admin:routing_utterance_changelist"), sent)
    assert Utterance.objects.filter(intent=tea, state="accepted").count() == 2
    client.post(reverse("admin:routing_utterance_add"), {"tenant": tenant.pk, "intent": tea.pk, "texts": "one\n\ntwo\n one!"})
    assert Utterance.objects.filter(intent=tea).count() == 4


def test_a_version_shows_its_figures_beside_those_of_the_active_one_with_a_table_for_each_plot(tenant: Tenant) -> None:
    model, client = make_version(tenant, evaluation=EVALUATION), staff(tenant)
    shown = page(client, "intentmodel_change", model.pk)
    assert [name for name in ("f1", "confusions", "calibration", "coverage") if f'data-chart="{name}"' in shown] == [
        "f1", "confusions", "calibration", "coverage"
    ]  # fmt: skip
    assert shown.count("<table") == 4
    assert "version 7: 90" in shown
    assert "Yes, activate it" in shown
    assert "Yes, activate it" not in page(staff(tenant, Role.VIEWER), "intentmodel_change", model.pk)


def test_a_training_shows_how_far_it_is_and_why_it_failed(tenant: Tenant) -> None:
    client = staff(tenant)
    note = "Cross-validation, part 2 of 4"
    far: dict[str, Any] = {"progress_done": 3, "progress_total": 10, "progress_note": note, "lease_token": uuid4()}
    model = make_version(tenant, state=ModelState.TRAINING, **far)
    shown = page(client, "intentmodel_change", model.pk)
    assert "30 %" in shown
    assert note in shown
    client.post(reverse("admin:routing_intentmodel_do", args=[model.pk, "cancel"]))
    assert IntentModel.objects.get().cancel_requested
    IntentModel.objects.update(state=ModelState.FAILED, error=training.INTERRUPTED)
    assert "Train again" in page(client, "intentmodel_change", model.pk)
    assert "30 %" not in page(client, "intentmodel_changelist")


def test_a_training_that_can_not_begin_says_what_is_missing(tenant: Tenant) -> None:
    answer = staff(tenant).post(reverse("admin:routing_intentmodel_add"), {"tenant": tenant.pk})
    assert answer.status_code == 422
    assert "At least 2 intents" in answer.content.decode()


@pytest.mark.usefixtures("few_examples")
def test_the_starting_set_is_loaded_from_its_page(tenant: Tenant) -> None:
    client = staff(tenant)
    assert "right in" in page(client, "intent_starting_set")
    client.post(reverse("admin:routing_intent_starting_set"), {"tenant": tenant.pk})
    assert IntentModel.objects.get(tenant=tenant).is_active
    assert "Accuracy" in page(client, "intentmodel_change", IntentModel.objects.get().pk)
