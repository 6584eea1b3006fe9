"""Where customers write, what they wrote as it came in, and the conversations it became."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.crypto import EncryptedJSONField
from posthaste.lib.ids import new_id


class EntranceKind(models.TextChoices):
    """What customers write through."""

    PORTAL = "portal", _("Portal chat")
    WECOM_KF = "wecom_kf", _("WeCom customer service")
    WECOM_APP = "wecom_app", _("WeCom application")
    WECOM_CONTACT = "wecom_contact", _("WeCom contacts")
    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Signed webhook")


class Entrance(models.Model):
    """One place of a tenant where customers write: a site's chat, a WeCom account, a mailbox, a system."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=14, choices=EntranceKind.choices)
    #: Fields of the kind's settings: see `routing.entrances.registry`.
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    secrets = EncryptedJSONField(_("secrets"), default=dict, editable=False)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("entrance")
        verbose_name_plural = _("entrances")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="entrance_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class ArrivalState(models.TextChoices):
    """How far a text that came in is."""

    PENDING = "pending", _("Pending")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class Arrival(models.Model):
    """What came in, written before its sender is answered; one for each id that the sender's system gave it."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    entrance = models.ForeignKey(Entrance, models.CASCADE, related_name="arrivals", db_index=False, verbose_name=_("entrance"))
    external_id = models.CharField(_("external ID"), max_length=250)
    #: Whose texts are taken in one after the other, in the order of their ids.
    sender = models.CharField(_("sender"), max_length=320)
    #: A `routing.contract.Incoming`, as JSON.
    body = models.JSONField(_("content"))
    state = models.CharField(_("state"), max_length=8, choices=ArrivalState.choices, default=ArrivalState.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=500, blank=True)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    line_id = models.UUIDField(_("line"), null=True, editable=False)
    received_at = models.DateTimeField(_("received"))
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("arrival")
        verbose_name_plural = _("arrivals")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["entrance", "external_id"], name="arrival_once")]
        indexes = [
            models.Index(fields=["id"], condition=Q(state="pending"), name="arrival_pending"),
            models.Index(fields=["entrance", "sender"], condition=Q(state="pending"), name="arrival_sender"),
            models.Index(fields=["tenant"], condition=Q(state="failed"), name="arrival_failed"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ConversationStatus(models.TextChoices):
    """What a conversation waits for."""

    NEW = "new", pgettext_lazy("conversation", "New")
    BOT = "bot", _("With the bot")
    QUEUED = "queued", _("In the queue")
    ASSIGNED = "assigned", _("Assigned")
    RESOLVED = "resolved", pgettext_lazy("conversation", "Resolved")
    CLOSED = "closed", pgettext_lazy("conversation", "Closed")
    SPAM = "spam", _("Spam")


#: How the threads of conversations with others about one begin.
SIDE_THREAD = "side:"
OPEN_STATUSES = (ConversationStatus.NEW, ConversationStatus.BOT, ConversationStatus.QUEUED, ConversationStatus.ASSIGNED)


class Conversation(models.Model):
    """What one identity of a customer and the agents write to each other at one entrance."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    customer = models.ForeignKey("routing.Customer", models.CASCADE, related_name="conversations", verbose_name=_("customer"))
    entrance = models.ForeignKey(Entrance, models.PROTECT, related_name="conversations", verbose_name=_("entrance"))
    #: Replies go to this identity: the one that wrote.
    identity = models.ForeignKey("routing.Identity", models.PROTECT, related_name="conversations", verbose_name=_("identity"))
    #: Keeps apart what one identity writes about different things, such as threads of e-mail. Empty: one conversation.
    thread = models.CharField(max_length=250, blank=True, editable=False)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    status = models.CharField(_("status"), max_length=8, choices=ConversationStatus.choices, default=ConversationStatus.NEW)
    language = models.CharField(_("language"), max_length=16, blank=True)
    intent = models.CharField(_("intent"), max_length=80, blank=True)
    confidence = models.FloatField(_("confidence"), null=True, blank=True)
    #: 0 to 10, as for messages.
    priority = models.PositiveSmallIntegerField(_("priority"), default=5)
    group = models.ForeignKey(
        "routing.SkillGroup", models.SET_NULL, null=True, blank=True, related_name="conversations", verbose_name=_("skill group")
    )
    agent = models.ForeignKey(
        "routing.Agent", models.SET_NULL, null=True, blank=True, related_name="conversations", verbose_name=_("agent")
    )
    tags = models.ManyToManyField("routing.Tag", related_name="conversations", blank=True, verbose_name=_("tags"))
    #: A conversation with others about this one, such as with a supplier by e-mail, names it; it is never queued.
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, editable=False, related_name="side_conversations", verbose_name=_("about")
    )
    #: The conversation of the same customer that goes on in its stead.
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="merged_from", verbose_name=_("merged into")
    )
    #: Why it is in its group, as `routing.assignment.rules` decided: rule, strategy, release …
    decision = models.JSONField(default=dict, editable=False)
    #: Facts for the entrance, such as the account that the customer wrote to or the Message-ID to answer.
    details = models.JSONField(default=dict, editable=False)
    last_seq = models.PositiveIntegerField(default=0, editable=False)
    customer_read_seq = models.PositiveIntegerField(default=0, editable=False)
    agent_read_seq = models.PositiveIntegerField(default=0, editable=False)
    #: Since when it waits for an agent, and since when in this group.
    queued_at = models.DateTimeField(_("in the queue since"), null=True, blank=True, editable=False)
    group_since = models.DateTimeField(null=True, editable=False)
    assigned_at = models.DateTimeField(_("assigned"), null=True, blank=True, editable=False)
    customer_wrote_at = models.DateTimeField(_("customer wrote"), null=True, blank=True, editable=False)
    #: When the customer's first line came that no agent has answered yet.
    unanswered_since = models.DateTimeField(_("unanswered since"), null=True, blank=True, editable=False)
    agent_wrote_at = models.DateTimeField(_("agent wrote"), null=True, blank=True, editable=False)
    #: When an agent answered for the first time; the bot's answers do not count.
    first_response_at = models.DateTimeField(_("first response"), null=True, blank=True, editable=False)
    #: Out of its agent's way until then, or until the customer writes.
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True, editable=False)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entrance", "identity", "thread"],
                condition=Q(status__in=["new", "bot", "queued", "assigned"]),
                name="conversation_one_open",
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="conversation_tenant"),
            models.Index(fields=["group", "-priority", "queued_at"], condition=Q(status="queued"), name="conversation_queue"),
            models.Index(fields=["agent"], condition=Q(status="assigned"), name="conversation_held"),
            models.Index(fields=["unanswered_since"], condition=Q(status="bot"), name="conversation_bot"),
            models.Index(fields=["tenant", "resolved_at"], condition=Q(resolved_at__isnull=False), name="conversation_resolved"),
            models.Index(fields=["snoozed_until"], condition=Q(snoozed_until__isnull=False), name="conversation_snoozed"),
            # The desk's inbox. SQLite would not use one of the open ones only, as it can't tell that parameters are these states.
            models.Index(fields=["tenant", "status", "agent", "group"], name="conversation_inbox"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AuthorKind(models.TextChoices):
    """Who wrote a line."""

    CUSTOMER = "customer", _("Customer")
    AGENT = "agent", _("Agent")
    BOT = "bot", _("Bot")
    SYSTEM = "system", _("System")


class Line(models.Model):
    """One text in a conversation. Lines have the order of `seq`, without gaps, on both sides."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="lines", db_index=False, verbose_name=_("conversation"))
    seq = models.PositiveIntegerField(_("number"))
    author = models.CharField(_("author"), max_length=8, choices=AuthorKind.choices)
    agent = models.ForeignKey("routing.Agent", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("agent"))
    text = models.TextField(_("text"), max_length=20_000, blank=True)
    #: The id that the writing side gave the line, so that sending it again doubles nothing.
    client_id = models.CharField(_("client ID"), max_length=250, blank=True)
    #: The message that carried a reply: its trace.
    message_id = models.UUIDField(_("message"), null=True, blank=True)
    #: {"intent", "confidence", "alternatives", "model", "language"} of a customer's line.
    recognition = models.JSONField(_("recognition"), default=dict, blank=True)
    #: A system line's kind and figures, or what a line has that is no text: location, link, card.
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        ordering = ["conversation", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="line_seq"),
            models.UniqueConstraint(fields=["conversation", "author", "client_id"], condition=~Q(client_id=""), name="line_client_id"),
        ]
        indexes = [models.Index(fields=["message_id"], condition=Q(message_id__isnull=False), name="line_message")]

    def __str__(self) -> str:
        return str(self.id)


class Attachment(models.Model):
    """A file of a line. Served only as a download, never as what its sender says it is."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    conversation = models.ForeignKey(Conversation, models.CASCADE, null=True, related_name="attachments", verbose_name=_("conversation"))
    line = models.ForeignKey(Line, models.CASCADE, null=True, related_name="attachments", verbose_name=_("line"))
    #: Who uploaded it while no line has it yet: an identity's, an agent's or a key's id.
    owner = models.CharField(max_length=64, blank=True, editable=False)
    name = models.CharField(_("name"), max_length=200)
    content_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveIntegerField(_("size"))
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField(editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner"], condition=~Q(owner=""), name="attachment_owner")]

    def __str__(self) -> str:
        return self.name


class PortalSession(models.Model):
    """A visitor's browser at a portal entrance. Only a hash of its token is kept."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    entrance = models.ForeignKey(Entrance, models.CASCADE, related_name="sessions", verbose_name=_("entrance"))
    identity = models.ForeignKey("routing.Identity", models.CASCADE, related_name="sessions", verbose_name=_("identity"))
    #: An address that this browser has proved, and no other of the visitor: a link that was sent there began the session.
    proved = models.ForeignKey(
        "routing.Identity", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("proved address")
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    language = models.CharField(_("language"), max_length=16, blank=True)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("portal session")
        verbose_name_plural = _("portal sessions")
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)
