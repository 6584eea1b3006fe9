"""What customers want: intents, the utterances they are learned from, and the models trained on these."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.roles import Access, Role
from posthaste.lib.ids import new_id


class Intent(models.Model):
    """Something that customers want, under the name that rules and the API use."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    name = models.SlugField(_("short name"), max_length=80, help_text=_("Used by assignment rules and the API, such as order_status."))
    title = models.CharField(_("name"), max_length=100)
    title_zh = models.CharField(_("name in Chinese"), max_length=100, blank=True)
    description = models.CharField(_("description"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("intent")
        verbose_name_plural = _("intents")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="intent_once_a_tenant")]

    def __str__(self) -> str:
        return self.name


class UtteranceState(models.TextChoices):
    """Whether it is learned from."""

    ACCEPTED = "accepted", pgettext_lazy("utterance", "Accepted")
    SUGGESTED = "suggested", _("Suggested")
    REJECTED = "rejected", _("Rejected")


class UtteranceSource(models.TextChoices):
    """Where it comes from."""

    STARTING_SET = "starting_set", _("Starting set")
    IMPORT = "import", _("Import")
    STAFF = "staff", _("Staff")
    CORRECTION = "correction", _("Correction by an agent")
    UNSURE = "unsure", _("The model was unsure")


class Utterance(models.Model):
    """A text and the intent it stands for. Without an intent, an accepted one is out of scope."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    intent = models.ForeignKey(Intent, models.CASCADE, null=True, blank=True, related_name="utterances", verbose_name=_("intent"))
    text = models.CharField(_("text"), max_length=1000)
    #: Hash of the text without what makes no difference: capitals, width, spaces and final marks.
    text_key = models.CharField(max_length=32, editable=False)
    language = models.CharField(_("language"), max_length=16, blank=True)
    held_out = models.BooleanField(_("held out"), default=False, help_text=_("Used to measure a model, not to train it."))
    state = models.CharField(_("state"), max_length=10, choices=UtteranceState.choices, default=UtteranceState.ACCEPTED)
    source = models.CharField(_("source"), max_length=12, choices=UtteranceSource.choices, default=UtteranceSource.STAFF)
    #: What the model said of a suggested one.
    guess = models.CharField(_("recognized as"), max_length=80, blank=True, editable=False)
    confidence = models.FloatField(_("confidence"), null=True, blank=True, editable=False)
    line_id = models.UUIDField(_("line"), null=True, blank=True, editable=False)
    created_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("utterance")
        verbose_name_plural = _("utterances")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "text_key"], name="utterance_once_a_tenant")]
        indexes = [
            models.Index(fields=["tenant", "state", "-id"], name="utterance_tenant"),
            models.Index(fields=["line_id"], name="utterance_line"),
        ]

    def __str__(self) -> str:
        return self.text


class ModelState(models.TextChoices):
    """How far a version of a model is."""

    TRAINING = "training", _("Training")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class IntentModel(models.Model):
    """A version of a tenant's model: data that can't run code, and how well it did."""

    tenant_lookup = "tenant_id"
    access = Access(change=Role.AUTHOR)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False, verbose_name=_("tenant"))
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=10, choices=ModelState.choices)
    is_active = models.BooleanField(_("active"), default=False)
    activates_if_better = models.BooleanField(_("activate if better"), default=False)
    artefact = models.BinaryField(null=True, editable=False)
    sha256 = models.CharField(_("content hash"), max_length=64, blank=True, editable=False)
    evaluation = models.JSONField(_("evaluation"), default=dict, editable=False)
    #: Steps done and in all while it is trained, and what is being done.
    progress_done = models.PositiveIntegerField(default=0, editable=False)
    progress_total = models.PositiveIntegerField(default=0, editable=False)
    progress_note = models.CharField(max_length=100, blank=True, editable=False)
    cancel_requested = models.BooleanField(default=False, editable=False)
    error = models.CharField(_("error"), max_length=500, blank=True, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    created_by = models.CharField(_("by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)
    activated_at = models.DateTimeField(_("activated"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("intent model")
        verbose_name_plural = _("intent models")
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="intent_model_number"),
            models.UniqueConstraint(fields=["tenant"], condition=models.Q(is_active=True), name="intent_model_one_active"),
            models.UniqueConstraint(fields=["tenant"], condition=models.Q(state="training"), name="intent_model_one_training"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"
