"""What is remembered about requests so that a repeated one gives the same answer."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.roles import Access


class IdempotencyKey(models.Model):
    """The outcome of a request that carried `Idempotency-Key`; kept for 24 hours at least."""

    tenant_lookup = "tenant_id"
    access = Access()

    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=128)
    is_sandbox = models.BooleanField(default=False, help_text="The kind of the API key: neither kind answers for the other.")
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of method, path and body.")
    target = models.UUIDField(help_text="Message or batch that the first request made.")
    answer = models.JSONField(null=True, help_text="The first answer, where the target's id alone does not give it.")
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["tenant", "key", "is_sandbox"], name="idempotency_key_once_a_kind")]

    def __str__(self) -> str:
        return self.key
