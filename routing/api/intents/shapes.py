"""What the API takes and shows of intents, utterances and models."""

from typing import Any

from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from routing.intents.text_keys import MAX_CHARACTERS
from routing.intents.utterances import DECISIONS, MAX_AT_ONCE
from routing.models import Intent, IntentModel, Utterance, UtteranceState

MAX_TEXTS = 100
MAX_TEXT = 20_000
INTENT_HELP = "The short name of an intent. Empty, or `oos`: out of scope."


class ClassifyIn(Body):
    """The request body with a text, or several."""

    text = serializers.CharField(required=False, max_length=MAX_TEXT)
    texts = BoundedList(child=serializers.CharField(max_length=MAX_TEXT), required=False, min_length=1, max_length=MAX_TEXTS)


class AlternativeOut(serializers.Serializer[Any]):
    """An intent that the text may have."""

    intent = serializers.CharField()
    confidence = serializers.FloatField()


class RecognizedOut(serializers.Serializer[Any]):
    """What a text was recognized as."""

    intent = serializers.CharField(allow_null=True, help_text="Null: out of scope, or not sure enough. `why_not` says which.")
    confidence = serializers.FloatField(help_text="0 to 1, of the likeliest intent.")
    alternatives = AlternativeOut(many=True, help_text="The likeliest intents; the first is the best.")
    language = serializers.CharField(help_text="`en`, `zh` and others; `und` when unsure.")
    why_not = serializers.CharField(
        allow_null=True,
        help_text="`threshold`: out of scope. `gap`: two intents are equally likely. `confidence`: below the minimum of the configuration. "
        "`no_model`, `error`: see the log.",
    )


class ClassifyOut(serializers.Serializer[Any]):
    """What texts were recognized as, in their order."""

    model = serializers.IntegerField(help_text="The version that is active. 0: the starting model of Posthaste.")
    milliseconds = serializers.FloatField(help_text="How long the recognition took, without the request.")
    results = RecognizedOut(many=True)


class IntentOut(serializers.ModelSerializer[Intent]):
    """An intent with its numbers of utterances."""

    accepted = serializers.IntegerField(help_text="Utterances that models learn from, or are measured with.")
    held_out = serializers.IntegerField(help_text="Those of them that measure models.")
    suggested = serializers.IntegerField(help_text="Utterances that wait to be labelled.")

    class Meta:
        model = Intent
        fields = ["id", "name", "title", "title_zh", "description", "accepted", "held_out", "suggested", "created_at"]


class IntentChangeIn(Body):
    """What describes an intent."""

    title = serializers.CharField(max_length=100, required=False)
    title_zh = serializers.CharField(max_length=100, required=False, allow_blank=True)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)


class IntentIn(IntentChangeIn):
    """A new intent."""

    name = serializers.SlugField(max_length=80, help_text="Used by assignment rules, such as `order_status`.")


class StartingSetOut(serializers.Serializer[Any]):
    """What was new."""

    intents = serializers.IntegerField()
    utterances = serializers.IntegerField()
    version = serializers.IntegerField(help_text="The version that the starting model became. 0: it was there.")


class UtteranceOut(serializers.ModelSerializer[Utterance]):
    """An utterance."""

    intent = serializers.CharField(source="intent.name", default=None, allow_null=True, help_text="Null: out of scope, or not labelled.")

    class Meta:
        model = Utterance
        fields = [
            "id", "text", "intent", "language", "held_out", "state", "source", "guess", "confidence", "line_id", "created_by", "created_at",
        ]  # fmt: skip


class NewUtteranceIn(Body):
    """A text and its intent."""

    text = serializers.CharField(max_length=MAX_CHARACTERS)
    intent = serializers.CharField(max_length=80, allow_blank=True, default="", help_text=INTENT_HELP)
    language = serializers.CharField(max_length=16, allow_blank=True, default="", help_text="Empty: found out.")
    held_out = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Measures models instead of training them. Null: one in four, by the text."
    )


class UtterancesIn(Body):
    """Utterances to add."""

    utterances = BoundedList(child=NewUtteranceIn(), min_length=1, max_length=MAX_AT_ONCE)


class UtterancesAddedOut(serializers.Serializer[Any]):
    """What became of them."""

    added = serializers.IntegerField()
    present = serializers.IntegerField(help_text="Were there already with the same intent, or twice in the request.")


class UtteranceChangeIn(Body):
    """What changes of an utterance."""

    intent = serializers.CharField(max_length=80, allow_blank=True, required=False, help_text=INTENT_HELP)
    state = serializers.ChoiceField(choices=DECISIONS, required=False)
    held_out = serializers.BooleanField(required=False)


class UtteranceIdsIn(Body):
    """Which utterances."""

    ids = BoundedList(child=serializers.UUIDField(), min_length=1, max_length=MAX_AT_ONCE)


class UtteranceLabelIn(UtteranceIdsIn):
    """Utterances, and what they are labelled as."""

    state = serializers.ChoiceField(choices=DECISIONS, default=UtteranceState.ACCEPTED)
    intent = serializers.CharField(max_length=80, allow_blank=True, default="", help_text=INTENT_HELP)


class UtterancesChangedOut(serializers.Serializer[Any]):
    """How many were changed."""

    changed = serializers.IntegerField()


class UtteranceFindingOut(serializers.Serializer[Any]):
    """Something that a person should look at."""

    kind = serializers.CharField(help_text="`invalid`, `duplicate`, `contradiction`, `near_double` or `unknown_intent`.")
    line = serializers.IntegerField(help_text="Of the file, from 1.")
    other_line = serializers.IntegerField(allow_null=True, help_text="Of the file. Null: it is about an utterance that is there already.")
    text = serializers.CharField()
    detail = serializers.CharField()


class UtteranceImportOut(serializers.Serializer[Any]):
    """What a file brings, or brought."""

    rows = serializers.IntegerField()
    new = serializers.IntegerField(help_text="Utterances that are added.")
    present = serializers.IntegerField(help_text="Utterances that were there already with the same intent.")
    intents = serializers.ListField(child=serializers.CharField(), help_text="Intents that are made.")
    languages = serializers.DictField(child=serializers.IntegerField())
    findings = UtteranceFindingOut(many=True)
    more_findings = serializers.IntegerField(help_text="Findings that are not listed.")
    is_stored = serializers.BooleanField()


class IntentModelOut(serializers.ModelSerializer[IntentModel]):
    """A version of the model in a list."""

    accuracy = serializers.FloatField(
        source="evaluation.accuracy", default=None, allow_null=True, help_text="On the held-out texts, 0 to 1."
    )

    class Meta:
        model = IntentModel
        fields = [
            "number", "state", "is_active", "activates_if_better", "sha256", "accuracy", "progress_done", "progress_total", "progress_note",
            "cancel_requested", "error", "created_by", "created_at", "finished_at", "activated_at",
        ]  # fmt: skip


class IntentModelDetailOut(IntentModelOut):
    """A version with its evaluation."""

    evaluation = serializers.DictField(help_text="Figures on the held-out texts; see the guide on intents.")

    class Meta(IntentModelOut.Meta):
        fields = [*IntentModelOut.Meta.fields, "evaluation"]


class IntentModelTrainIn(Body):
    """How a version is trained."""

    activates_if_better = serializers.BooleanField(
        default=False, help_text="Activate it if it is better on the held-out texts than the active one."
    )
