"""Tickets: matters of customers that are followed up until they are resolved, and the work orders that groups pass between them."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class Tag(models.Model):
    """A word that conversations and tickets are marked with, to find and to count them."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.CharField(_("name"), max_length=50)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="tag_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class TicketKind(models.TextChoices):
    """Whether a ticket is a customer's matter, or work that one group asks of another."""

    REQUEST = "request", _("Request")
    WORK_ORDER = "work_order", _("Work order")


class TicketType(models.Model):
    """A kind of ticket with its own form: which fields it has, who answers it, what has to be done."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.SlugField(_("short name"), max_length=80, help_text=_("Used by service levels and the API, such as refund."))
    title = models.CharField(_("name"), max_length=100)
    title_zh = models.CharField(_("name in Chinese"), max_length=100, blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=TicketKind.choices, default=TicketKind.REQUEST)
    #: Definitions of its own fields: see `routing.tickets.fields`.
    fields = models.JSONField(_("fields"), default=list, blank=True)
    #: Texts of the items that each new ticket's checklist has.
    checklist = models.JSONField(_("checklist"), default=list, blank=True)
    priority = models.CharField(_("priority"), max_length=6, default="normal")
    group = models.ForeignKey("routing.SkillGroup", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("skill group"))
    #: Whether customers may open one with the form of the portal.
    is_public = models.BooleanField(_("in the portal"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("ticket type")
        verbose_name_plural = _("ticket types")
        ordering = ["title"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="ticket_type_once_a_tenant")]

    def __str__(self) -> str:
        return self.title


class TicketStatus(models.TextChoices):
    """What a ticket waits for. `routing.tickets.transitions` says which may follow which."""

    NEW = "new", pgettext_lazy("ticket", "New")
    BOT = "bot", _("With the bot")
    QUEUED = "queued", _("In the queue")
    ASSIGNED = "assigned", _("Assigned")
    IN_PROGRESS = "in_progress", _("In progress")
    WAITING = "waiting", _("Waiting for the customer")
    ON_HOLD = "on_hold", _("On hold")
    RESOLVED = "resolved", pgettext_lazy("ticket", "Resolved")
    CLOSED = "closed", pgettext_lazy("ticket", "Closed")
    MERGED = "merged", _("Merged")
    SPAM = "spam", _("Spam")


#: Those that there is still something to do about.
OPEN_TICKETS = (
    TicketStatus.NEW,
    TicketStatus.BOT,
    TicketStatus.QUEUED,
    TicketStatus.ASSIGNED,
    TicketStatus.IN_PROGRESS,
    TicketStatus.WAITING,
    TicketStatus.ON_HOLD,
)


class TicketPriority(models.TextChoices):
    """How soon a ticket is answered; service levels name it."""

    URGENT = "urgent", _("Urgent")
    HIGH = "high", _("High")
    NORMAL = "normal", pgettext_lazy("priority", "Normal")
    LOW = "low", _("Low")


class TicketNumbers(models.Model):
    """The last number that a tenant's tickets have."""

    tenant_lookup = "tenant_id"

    tenant = models.OneToOneField("accounts.Tenant", models.CASCADE, primary_key=True, related_name="+", verbose_name=_("tenant"))
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


class Ticket(models.Model):
    """A matter that is followed up, with a number that people say to each other."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    number = models.PositiveIntegerField(_("number"), editable=False)
    type = models.ForeignKey(TicketType, models.PROTECT, related_name="tickets", verbose_name=_("type"))
    status = models.CharField(_("status"), max_length=11, choices=TicketStatus.choices, default=TicketStatus.NEW)
    priority = models.CharField(_("priority"), max_length=6, choices=TicketPriority.choices, default=TicketPriority.NORMAL)
    subject = models.CharField(_("subject"), max_length=300)
    description = models.TextField(_("description"), max_length=20_000, blank=True)
    customer = models.ForeignKey(
        "routing.Customer", models.CASCADE, null=True, blank=True, related_name="tickets", verbose_name=_("customer")
    )
    #: Where it is talked about with the customer; several tickets may have come out of one conversation.
    conversation = models.ForeignKey(
        "routing.Conversation", models.SET_NULL, null=True, blank=True, related_name="tickets", verbose_name=_("conversation")
    )
    group = models.ForeignKey(
        "routing.SkillGroup", models.SET_NULL, null=True, blank=True, related_name="tickets", verbose_name=_("skill group")
    )
    agent = models.ForeignKey("routing.Agent", models.SET_NULL, null=True, blank=True, related_name="tickets", verbose_name=_("agent"))
    #: Values of the type's own fields, by key.
    fields = models.JSONField(_("fields"), default=dict, blank=True)
    tags = models.ManyToManyField(Tag, related_name="tickets", blank=True, verbose_name=_("tags"))
    #: A day by the end of whose business hours it has to be done.
    due_on = models.DateField(_("due on"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, editable=False, related_name="merged_from", verbose_name=_("merged into")
    )
    #: Counts changes; a change that was made to an older version is refused.
    version = models.PositiveIntegerField(default=0, editable=False)
    opened_by = models.CharField(_("opened by"), max_length=150, blank=True, editable=False)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="ticket_number")]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="ticket_tenant"),
            models.Index(fields=["tenant", "group", "-id"], condition=Q(status__in=OPEN_TICKETS), name="ticket_open"),
            models.Index(fields=["resolved_at"], condition=Q(status="resolved"), name="ticket_to_close"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"


class TicketEvent(models.Model):
    """Something that happened to a ticket. Rows are never changed."""

    tenant_lookup = "ticket__tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="events", db_index=False, verbose_name=_("ticket"))
    #: A name of `routing.tickets.history`.
    kind = models.CharField(_("event"), max_length=20)
    actor = models.CharField(_("by"), max_length=150, blank=True)
    #: What changed: {"field": [before, after]}, and what else the kind has.
    data = models.JSONField(_("details"), default=dict)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("event of a ticket")
        verbose_name_plural = _("events of tickets")
        ordering = ["id"]
        indexes = [models.Index(fields=["ticket", "id"], name="ticket_event")]

    def __str__(self) -> str:
        return self.kind


class TicketLinkKind(models.TextChoices):
    """What one ticket is to another."""

    RELATED = "related", _("Related to")
    DUPLICATE = "duplicate", _("Duplicate of")
    BLOCKED = "blocked", _("Blocked by")
    FOLLOW_UP = "follow_up", _("Follow-up of")
    WORK_ORDER = "work_order", _("Work order for")


class TicketLink(models.Model):
    """A ticket that has to do with another."""

    tenant_lookup = "ticket__tenant_id"
    access = Access(change=Role.OPERATOR)

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="links", db_index=False, verbose_name=_("ticket"))
    other = models.ForeignKey(Ticket, models.CASCADE, related_name="linked_from", verbose_name=_("other ticket"))
    kind = models.CharField(_("kind"), max_length=10, choices=TicketLinkKind.choices, default=TicketLinkKind.RELATED)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("link of a ticket")
        verbose_name_plural = _("links of tickets")
        constraints = [
            models.UniqueConstraint(fields=["ticket", "other", "kind"], name="ticket_link_once"),
            models.CheckConstraint(condition=~Q(ticket=models.F("other")), name="ticket_link_to_another"),
        ]

    def __str__(self) -> str:
        return self.kind


class TicketWatcher(models.Model):
    """An agent who is told of what happens to a ticket."""

    tenant_lookup = "ticket__tenant_id"
    access = Access(change=Role.OPERATOR)

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="watchers", db_index=False, verbose_name=_("ticket"))
    agent = models.ForeignKey("routing.Agent", models.CASCADE, related_name="watched", verbose_name=_("agent"))

    class Meta:
        verbose_name = _("watcher")
        verbose_name_plural = _("watchers")
        constraints = [models.UniqueConstraint(fields=["ticket", "agent"], name="ticket_watcher_once")]

    def __str__(self) -> str:
        return str(self.agent_id)


class ChecklistItem(models.Model):
    """Something to do before a ticket is resolved."""

    tenant_lookup = "ticket__tenant_id"
    access = Access(change=Role.OPERATOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="checklist", db_index=False, verbose_name=_("ticket"))
    place = models.PositiveSmallIntegerField(_("place"), validators=[MaxValueValidator(200)])
    text = models.CharField(_("text"), max_length=300)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    done_by = models.CharField(_("done by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("item of a checklist")
        verbose_name_plural = _("items of checklists")
        ordering = ["ticket", "place"]
        constraints = [models.UniqueConstraint(fields=["ticket", "place"], name="checklist_place")]

    def __str__(self) -> str:
        return self.text
