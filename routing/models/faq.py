"""Answers to frequent questions, and what the bot did with them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class FaqState(models.TextChoices):
    """How far an entry is: only published ones are shown, and used by the bot."""

    DRAFT = "draft", _("Draft")
    REVIEW = "review", _("In review")
    PUBLISHED = "published", _("Published")
    ARCHIVED = "archived", _("Archived")


class FaqEntry(models.Model):
    """A question with its answer, in one language."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    slug = models.SlugField(_("address"), max_length=80, allow_unicode=True, help_text=_("The same for an entry in several languages."))
    language = models.CharField(_("language"), max_length=16, default="en")
    category = models.CharField(_("category"), max_length=80, blank=True)
    question = models.CharField(_("question"), max_length=300)
    #: Other ways to ask the same, one each.
    phrasings = models.JSONField(_("other phrasings"), default=list, blank=True)
    #: Markdown.
    answer = models.TextField(_("answer"), max_length=20_000)
    #: The intent that it answers, by its short name.
    intent = models.CharField(_("intent"), max_length=80, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=FaqState.choices, default=FaqState.DRAFT)
    is_for_bot = models.BooleanField(_("the bot may answer with it"), default=True)
    #: What is published, while a newer text is edited: {"question", "phrasings", "answer"}.
    published = models.JSONField(default=dict, editable=False)
    written_by = models.CharField(_("written by"), max_length=150, blank=True, editable=False)
    reviewed_by = models.CharField(_("reviewed by"), max_length=150, blank=True, editable=False)
    shown = models.PositiveIntegerField(_("shown"), default=0, editable=False)
    answered = models.PositiveIntegerField(_("answered by the bot"), default=0, editable=False)
    helpful = models.PositiveIntegerField(_("helpful"), default=0, editable=False)
    unhelpful = models.PositiveIntegerField(_("not helpful"), default=0, editable=False)
    created_at = models.DateTimeField(_("created"))
    changed_at = models.DateTimeField(_("changed"))
    published_at = models.DateTimeField(_("published"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("FAQ entry")
        verbose_name_plural = _("FAQ entries")
        ordering = ["category", "question"]
        constraints = [models.UniqueConstraint(fields=["tenant", "slug", "language"], name="faq_once_a_language")]
        indexes = [models.Index(fields=["tenant", "language"], condition=~Q(published={}), name="faq_published")]

    def __str__(self) -> str:
        return self.question


class FaqVectors(models.Model):
    """The sentence vectors of a published entry's question and phrasings, so that a process need not compute them again."""

    tenant_lookup = "tenant_id"
    access = Access()

    entry = models.OneToOneField(FaqEntry, models.CASCADE, primary_key=True, related_name="vectors", verbose_name=_("entry"))
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", verbose_name=_("tenant"))
    #: What made them, by its hash: with another encoder they are computed again.
    encoder = models.CharField(max_length=64)
    #: One row a text, numbers of 16 bits.
    content = models.BinaryField(editable=False)

    class Meta:
        verbose_name = _("vectors of an FAQ entry")
        verbose_name_plural = _("vectors of FAQ entries")
        ordering = ["entry"]

    def __str__(self) -> str:
        return str(self.entry_id)


class FaqRevision(models.Model):
    """How often a tenant's published entries have changed: a process reads them again when the number is another one."""

    tenant_lookup = "tenant_id"
    access = Access()

    tenant = models.OneToOneField("accounts.Tenant", models.CASCADE, primary_key=True, related_name="+", verbose_name=_("tenant"))
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("revision of the FAQ")
        verbose_name_plural = _("revisions of the FAQ")
        ordering = ["tenant"]

    def __str__(self) -> str:
        return str(self.number)


class BotAction(models.TextChoices):
    """What the bot did about a customer's line."""

    ANSWER = "answer", pgettext_lazy("bot", "Answered")
    OFFER = "offer", _("Offered answers")
    ASK = "ask", _("Asked")
    COLLECT = "collect", _("Asked for details")
    HAND_OVER = "hand_over", _("Handed over")
    SILENT = "silent", _("Stayed silent")


class BotTurn(models.Model):
    """What the bot did about one line of a customer, and why; at most one for each line."""

    tenant_lookup = "tenant_id"
    access = Access()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "routing.Conversation", models.CASCADE, related_name="bot_turns", db_index=False, verbose_name=_("conversation")
    )
    #: Number of the customer's line.
    seq = models.PositiveIntegerField(_("line"))
    action = models.CharField(_("action"), max_length=9, choices=BotAction.choices)
    #: Why: request, confidence, misses, failure, human …
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    entry = models.ForeignKey(FaqEntry, models.SET_NULL, null=True, blank=True, related_name="turns", verbose_name=_("entry"))
    score = models.FloatField(_("score"), null=True, blank=True)
    #: The other candidates with their scores, and what was collected.
    data = models.JSONField(default=dict, editable=False)
    was_helpful = models.BooleanField(_("helpful"), null=True, blank=True)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("turn of the bot")
        verbose_name_plural = _("turns of the bot")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["conversation", "seq"], name="bot_turn_once")]
        indexes = [models.Index(fields=["tenant", "-id"], name="bot_turn_tenant")]

    def __str__(self) -> str:
        return self.action
