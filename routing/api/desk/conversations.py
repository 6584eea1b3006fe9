"""What agents decide about a conversation, over the API: notes, tags, priority, snooze, close, spam, reopen, merge."""

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList, readable_or
from accounts.services.audit import Actor
from posthaste.lib.dates import within_range
from posthaste.lib.problems import Conflict, Invalid
from routing.api.conversations.serializers import ConversationDetailOut, NamedOut
from routing.api.conversations.views import TOLD, ConversationView
from routing.desk import merging, noting, snoozing, states, tagging
from routing.models import Conversation, Note
from routing.scopes import CONVERSATIONS_READ, CONVERSATIONS_WRITE

ANSWER = {200: readable_or(ConversationDetailOut, *TOLD)}
NOTE_TOLD = ("id",)
#: Of a conversation, in one answer.
MAX_NOTES = 500


class NoteOut(serializers.ModelSerializer[Note]):
    """A note of a conversation."""

    agent = NamedOut(allow_null=True)

    class Meta:
        model = Note
        fields = ["id", "agent", "written_by", "text", "after_seq", "created_at"]
        extra_kwargs = {"after_seq": {"help_text": "It stands behind the line with this number."}}


class NoteIn(Body):
    """A note to write. Sent again under its `client_id`, it is the same note."""

    text = serializers.CharField(max_length=noting.MAX_TEXT)
    agent = serializers.CharField(
        max_length=150, required=False, allow_null=True, help_text="Who writes it, by id or user name. Null: the key."
    )
    mentions = BoundedList(
        child=serializers.UUIDField(), max_length=noting.MAX_MENTIONS, default=list, help_text="Ids of agents who are told."
    )
    client_id = serializers.CharField(max_length=64, default="", allow_blank=True)


class TagsIn(Body):
    """Names of tags; those that do not exist are made."""

    add = BoundedList(child=serializers.CharField(max_length=tagging.MAX_NAME), max_length=tagging.MAX_TAGS, default=list)
    remove = BoundedList(child=serializers.CharField(max_length=tagging.MAX_NAME), max_length=tagging.MAX_TAGS, default=list)


class PriorityIn(Body):
    """How urgent a conversation is."""

    priority = serializers.IntegerField(min_value=0, max_value=states.MAX_PRIORITY)


class SnoozeIn(Body):
    """Until when it is out of its agent's way."""

    until = serializers.DateTimeField(allow_null=True, validators=[within_range], help_text="Within a year. Null wakes it.")


class ReopenIn(Body):
    """Who goes on with it."""

    agent = serializers.CharField(
        max_length=150, required=False, allow_null=True, help_text="Id or user name. Null, or without room: the queue."
    )


class MergeConversationIn(Body):
    """Which conversation goes on."""

    into = serializers.UUIDField(help_text="An open conversation of the same customer.")


class DecidingView(ConversationView):
    """Base: something that agents decide about a conversation with a customer."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    def with_customer(self) -> Conversation:
        """Return the conversation that the address names.

        Raises:
            Conflict: it is one with others about another conversation.
        """
        found: Conversation = self.get_object()
        if found.parent_id is not None:
            raise Conflict(_("Not in a conversation with others: do it in the one that it is about."))
        return found


class ConversationNotes(ConversationView):
    """`/api/conversations/{id}/notes/`."""

    scopes = {"GET": CONVERSATIONS_READ, "POST": CONVERSATIONS_WRITE}

    @extend_schema(summary="Notes of a conversation", description="In their order, the newest 500.", responses=NoteOut(many=True))
    def get(self, request: Request, id: str) -> Response:
        newest = Note.objects.filter(conversation=self.get_object()).select_related("agent").order_by("-pk")[:MAX_NOTES]
        return Response(NoteOut(list(reversed(newest)), many=True).data)

    @extend_schema(
        summary="Write a note about a conversation",
        description="Customers never see it. Agents that are named in `mentions` are told.",
        request=NoteIn,
        responses={201: readable_or(NoteOut, *NOTE_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, values = self.get_object(), self.validated(NoteIn)
        note = noting.add_note(
            conversation=conversation,
            agent=self.agent_of(values),
            text=values["text"],
            mentions=values["mentions"],
            client_id=values["client_id"],
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return Response(self.readable(NoteOut(note).data, scope=CONVERSATIONS_READ, always=NOTE_TOLD), status=201)


class ConversationTags(DecidingView):
    """`/api/conversations/{id}/tags/`."""

    @extend_schema(summary="Tag a conversation", request=TagsIn, responses=ANSWER)
    def post(self, request: Request, id: str) -> Response:
        row, values = self.with_customer(), self.validated(TagsIn)
        tagging.tag(conversation=row, add=values["add"], remove=values["remove"], by=Actor.of_request(request), now=timezone.now())
        return self.answer(row)


class ConversationPriority(DecidingView):
    """`/api/conversations/{id}/priority/`."""

    @extend_schema(
        summary="Set the priority of a conversation",
        description="0 to 10. Those that wait are assigned in that order.",
        request=PriorityIn,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        row, priority = self.with_customer(), self.validated(PriorityIn)["priority"]
        return self.answer(states.change_priority(conversation=row, priority=priority, by=Actor.of_request(request), now=timezone.now()))


class ConversationSnooze(DecidingView):
    """`/api/conversations/{id}/snooze/`."""

    @extend_schema(
        summary="Snooze a conversation",
        description="Until a time, or until the customer writes. 409 if it is not open.",
        request=SnoozeIn,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        row, until = self.with_customer(), self.validated(SnoozeIn)["until"]
        return self.answer(snoozing.snooze(conversation=row, until=until, by=Actor.of_request(request), now=timezone.now()))


class ConversationClose(ConversationView):
    """`/api/conversations/{id}/close/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Close a conversation",
        description="What the customer writes next begins another one. 409 if it is closed already.",
        request=None,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        return self.answer(states.close(conversation=self.get_object(), by=Actor.of_request(request), now=timezone.now()))


class ConversationSpam(DecidingView):
    """`/api/conversations/{id}/spam/`."""

    @extend_schema(
        summary="Mark a conversation as spam",
        description="For some weeks it takes what the same sender writes. `reopen/` undoes it.",
        request=None,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        return self.answer(states.mark_as_spam(conversation=self.with_customer(), by=Actor.of_request(request), now=timezone.now()))


class ConversationReopen(ConversationView):
    """`/api/conversations/{id}/reopen/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Reopen a conversation",
        description="One that was resolved, closed or spam. 409 `another_is_open`: go on in `conversation`, or merge the two.",
        request=ReopenIn,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        row, agent = self.get_object(), self.agent_of(self.validated(ReopenIn))
        return self.answer(states.reopen(conversation=row, agent=agent, by=Actor.of_request(request), now=timezone.now()))


class ConversationMerge(DecidingView):
    """`/api/conversations/{id}/merge/`."""

    @extend_schema(
        summary="Merge a conversation into another",
        description="Of the same customer, both open. The answer is the one that goes on; replies go to the identity that wrote there. "
        "409 `not_mergeable` says why not.",
        request=MergeConversationIn,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        row, wanted = self.with_customer(), self.validated(MergeConversationIn)["into"]
        into = self.get_queryset().filter(pk=wanted).first()
        if into is None:
            raise Invalid.field("into", _("There is none with this id."), "does_not_exist")
        return self.answer(merging.merge(conversation=row, into=into, by=Actor.of_request(request), now=timezone.now()))


class ConversationUnmerge(DecidingView):
    """`/api/conversations/{id}/unmerge/`."""

    @extend_schema(summary="Undo a merge of conversations", description="It goes to the queue again.", request=None, responses=ANSWER)
    def post(self, request: Request, id: str) -> Response:
        return self.answer(merging.undo_merge(conversation=self.with_customer(), by=Actor.of_request(request), now=timezone.now()))
