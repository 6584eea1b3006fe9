"""What the API takes and shows of the FAQ."""

from typing import Any

from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.filters import Query, WholeNumber
from routing.faq.checks import MAX_ANSWER, MAX_NAME, MAX_PHRASINGS, MAX_QUESTION
from routing.faq.published import texts_of
from routing.faq.rendering import html_of
from routing.models import FaqEntry

MAX_ASKED = 600
MAX_FOUND = 20


class PublishedOut(serializers.ModelSerializer[FaqEntry]):
    """An entry as customers see it."""

    question = serializers.SerializerMethodField()
    answer = serializers.SerializerMethodField(help_text="Markdown.")
    answer_html = serializers.SerializerMethodField(help_text="The answer as harmless HTML.")

    class Meta:
        model = FaqEntry
        fields = ["id", "slug", "language", "category", "question", "answer", "answer_html", "intent", "published_at"]

    def get_question(self, entry: FaqEntry) -> str:
        return texts_of(entry).question

    def get_answer(self, entry: FaqEntry) -> str:
        return texts_of(entry).answer

    def get_answer_html(self, entry: FaqEntry) -> str:
        return html_of(texts_of(entry).answer)


class EntryOut(serializers.ModelSerializer[FaqEntry]):
    """An entry with its newest text, which may not be published yet, and its figures."""

    is_published = serializers.SerializerMethodField(help_text="Customers see it, perhaps with an older text.")

    class Meta:
        model = FaqEntry
        fields = [
            "id",
            "slug",
            "language",
            "category",
            "question",
            "phrasings",
            "answer",
            "intent",
            "is_for_bot",
            "state",
            "is_published",
            "written_by",
            "reviewed_by",
            "shown",
            "answered",
            "helpful",
            "unhelpful",
            "created_at",
            "changed_at",
            "published_at",
        ]

    def get_is_published(self, entry: FaqEntry) -> bool:
        return bool(entry.published)


class EntryChangeIn(Body):
    """What may be changed of an entry. Another text makes it a draft; what is published stays until it is published again."""

    slug = serializers.CharField(max_length=MAX_NAME, required=False, help_text="The address: the same for an entry in several languages.")
    category = serializers.CharField(max_length=MAX_NAME, required=False, allow_blank=True)
    question = serializers.CharField(max_length=MAX_QUESTION, required=False)
    phrasings = BoundedList(
        child=serializers.CharField(max_length=MAX_QUESTION),
        required=False,
        max_length=MAX_PHRASINGS,
        help_text="Other ways to ask the same.",
    )
    answer = serializers.CharField(max_length=MAX_ANSWER, required=False, help_text="Markdown.")
    intent = serializers.CharField(max_length=MAX_NAME, required=False, allow_blank=True, help_text="The intent that it answers.")
    is_for_bot = serializers.BooleanField(required=False, help_text="Whether the bot may answer with it.")


class EntryIn(EntryChangeIn):
    """A new entry, which is a draft."""

    slug = serializers.CharField(
        max_length=MAX_NAME,
        required=False,
        allow_blank=True,
        help_text="The address: the same for an entry in several languages. Empty: made of the question.",
    )
    language = serializers.CharField(max_length=16, default="en")
    question = serializers.CharField(max_length=MAX_QUESTION)
    answer = serializers.CharField(max_length=MAX_ANSWER, help_text="Markdown.")


class SearchQuery(Query):
    """What is asked."""

    q = serializers.CharField(max_length=MAX_ASKED, help_text="The question, in any words.")
    language = serializers.CharField(max_length=16, required=False, help_text="Of the entries. Without it, of any.")
    limit = WholeNumber(default=5, min_value=1, max_value=MAX_FOUND)


class FoundOut(serializers.Serializer[Any]):
    """An entry that a question may mean."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    language = serializers.CharField()
    category = serializers.CharField()
    question = serializers.CharField()
    answer = serializers.CharField(help_text="Markdown.")
    score = serializers.FloatField(help_text="How alike the question and the entry are, 0 to 1.")


class SearchOut(serializers.Serializer[Any]):
    """The entries that were found, the likeliest first."""

    results = FoundOut(many=True)


class FaqImportQuery(Query):
    """`?dry_run=true`."""

    dry_run = serializers.BooleanField(default=False, help_text="Only report; nothing is stored.")


class FaqImportOut(serializers.Serializer[Any]):
    """What a file brings."""

    rows = serializers.IntegerField()
    new = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField(help_text="Rows that change nothing.")
    is_stored = serializers.BooleanField()


class SuggestionsQuery(Query):
    """How many are wanted."""

    limit = WholeNumber(default=3, min_value=1, max_value=10)


class SuggestionOut(serializers.Serializer[Any]):
    """An answer that an agent may give."""

    entry = serializers.UUIDField(help_text="The entry's id.")
    slug = serializers.CharField()
    language = serializers.CharField()
    question = serializers.CharField()
    text = serializers.CharField(help_text="The answer as a text for any channel.")
    score = serializers.FloatField(help_text="How alike the entry and what the customer wrote are, 0 to 1.")


class SuggestionsOut(serializers.Serializer[Any]):
    """Answers, the likeliest first."""

    results = SuggestionOut(many=True)
