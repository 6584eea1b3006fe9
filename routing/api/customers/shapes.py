"""What the API takes and shows of customers."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.dates import within_range
from posthaste.lib.visible_text import must_be_visible
from routing.customers import suppressed
from routing.customers.attribute_values import by_precedence, combined
from routing.customers.editing import MAX_IDENTITIES
from routing.customers.merging import Plan
from routing.customers.values import MAX_VALUE_CHARACTERS, masked
from routing.models import Customer, CustomerAttribute, CustomerMerge, Identity, IdentityKind

MAX_ATTRIBUTES_AT_ONCE = 100
MERGE_STATES = CustomerMerge.State.choices
NEW_CUSTOMER = OpenApiExample(
    "A customer with two identities",
    {
        "name": "Ada",
        "language": "en",
        "identities": [{"kind": "email", "value": "ada@example.com", "verified": True}, {"kind": "own", "value": "C-1042"}],
    },
    request_only=True,
)
SET_ATTRIBUTES = OpenApiExample(
    "VIP until a day, and one attribute removed",
    {"values": {"vip": True, "level": "gold", "trial": None}, "valid_until": "2027-01-31T00:00:00Z"},
    request_only=True,
)


class IdentityOut(serializers.ModelSerializer[Identity]):
    """An identity in a list: its value is masked."""

    value = serializers.SerializerMethodField("value_shown")

    class Meta:
        model = Identity
        fields = ["id", "kind", "value", "name", "verified_at", "created_at", "last_seen_at"]

    def value_shown(self, row: Identity) -> str:
        return masked(row.kind, row.value)


class IdentityWholeOut(IdentityOut):
    """An identity, whole."""

    def value_shown(self, row: Identity) -> str:
        return row.value


class AttributeOut(serializers.ModelSerializer[CustomerAttribute]):
    """What one source says."""

    value = serializers.JSONField()

    class Meta:
        model = CustomerAttribute
        fields = ["name", "value", "source", "valid_until", "set_by", "set_at"]


class CustomerOut(serializers.ModelSerializer[Customer]):
    """A customer in a list."""

    identities = IdentityOut(many=True)
    attributes = serializers.SerializerMethodField(help_text="Those in force, by name.")

    class Meta:
        model = Customer
        fields = ["id", "name", "language", "identities", "attributes", "created_at", "last_seen_at"]

    @extend_schema_field(serializers.DictField())
    def get_attributes(self, row: Customer) -> dict[str, Any]:
        now = timezone.now()
        return combined(kept for kept in row.attributes.all() if kept.valid_until is None or kept.valid_until > now)


class CustomerSuppressionOut(serializers.Serializer[Any]):
    """An entry of the suppression list that holds back messages to a customer."""

    id = serializers.UUIDField()
    recipient = serializers.CharField(source="masked", help_text="Masked.")
    channel = serializers.CharField(help_text="Empty: all.")
    category = serializers.CharField(help_text="Empty: all.")
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)


class CustomerWholeOut(CustomerOut):
    """A customer, whole."""

    identities = IdentityWholeOut(many=True)
    sources = serializers.SerializerMethodField(help_text="What each source says, the one that counts most first.")
    suppressions = serializers.SerializerMethodField()
    conversations = serializers.SerializerMethodField(help_text="How many there are.")

    class Meta:
        model = Customer
        fields = [
            "id", "name", "language", "note", "identities", "attributes", "sources", "suppressions", "conversations", "merged_into",
            "erased_at", "created_at", "last_seen_at",
        ]  # fmt: skip

    @extend_schema_field(AttributeOut(many=True))
    def get_sources(self, row: Customer) -> Any:
        return AttributeOut(sorted(row.attributes.all(), key=by_precedence), many=True).data

    @extend_schema_field(CustomerSuppressionOut(many=True))
    def get_suppressions(self, row: Customer) -> Any:
        found = suppressed.entries(row.identities.all(), tenant_id=row.tenant_id, now=timezone.now())
        return CustomerSuppressionOut(found, many=True).data

    def get_conversations(self, row: Customer) -> int:
        return row.conversations.count()


class IdentityIn(Body):
    """An identity to add."""

    kind = serializers.ChoiceField(choices=IdentityKind.choices)
    value = serializers.CharField(max_length=MAX_VALUE_CHARACTERS)
    name = serializers.CharField(max_length=200, default="", allow_blank=True, validators=[must_be_visible])
    verified = serializers.BooleanField(default=False, help_text="You have proved that it is the customer's.")


class CustomerChangeIn(Body):
    """What changes a customer."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    language = serializers.RegexField(r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*)?\Z", max_length=16, required=False, allow_blank=True)
    note = serializers.CharField(max_length=4000, required=False, allow_blank=True)


class CustomerIn(CustomerChangeIn):
    """What makes a customer."""

    identities = BoundedList(child=IdentityIn(), default=list, max_length=MAX_IDENTITIES)


class AttributesIn(Body):
    """Attributes to set; null removes one."""

    values = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        help_text="By name. `level` is a text, `tags` a list of texts, `vip` true or false; others a text, a number, true or false.",
    )
    valid_until = serializers.DateTimeField(required=False, allow_null=True, validators=[within_range], help_text="Empty: for good.")

    def validate_values(self, values: dict[str, Any]) -> dict[str, Any]:
        if not 1 <= len(values) <= MAX_ATTRIBUTES_AT_ONCE:
            raise serializers.ValidationError(f"1 to {MAX_ATTRIBUTES_AT_ONCE} attributes.", code="number")
        return values


class DifferingOut(serializers.Serializer[Any]):
    """An attribute that both have of one source: the kept customer's counts."""

    name = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field, not the source of one
    kept = serializers.JSONField()
    merged = serializers.JSONField()


class MergePlanOut(serializers.Serializer[Any]):
    """What a merge would do."""

    kept = serializers.UUIDField()
    merged = serializers.UUIDField()
    can_merge = serializers.BooleanField()
    conflicts = serializers.ListField(child=serializers.CharField(), help_text="Kinds of which both have a verified identity.")
    identities = IdentityOut(many=True, help_text="That move.")
    conversations = serializers.IntegerField(help_text="That move.")
    open_at_both = serializers.ListField(
        child=serializers.CharField(), help_text="Entrances where both have an open conversation; both stay open."
    )
    attributes = serializers.ListField(child=serializers.CharField(), help_text="That move.")
    differing = DifferingOut(many=True)
    filled = serializers.ListField(child=serializers.CharField(), help_text="Empty fields that get the other's value.")


def plan_shown(plan: Plan) -> dict[str, Any]:
    """Return a plan as the API shows it."""
    return {
        "kept": str(plan.kept.pk),
        "merged": str(plan.merged.pk),
        "can_merge": not plan.conflicts,
        "conflicts": plan.conflicts,
        "identities": IdentityOut(plan.identities, many=True).data,
        "conversations": plan.conversations,
        "open_at_both": plan.open_at_both,
        "attributes": [row.name for row in plan.attributes],
        "differing": [{"name": row.name, "source": row.source, "kept": kept, "merged": row.value} for row, kept in plan.differing],
        "filled": plan.filled,
    }


class MergeOut(serializers.ModelSerializer[CustomerMerge]):
    """A merge: suggested, done, undone or dismissed."""

    reason = serializers.CharField(
        help_text="`verified:<kind>`: a verified identity of both. `shared:<kind>`: one that nothing proves. `conflict:<kind>`: their "
        "verified identities contradict each other."
    )

    class Meta:
        model = CustomerMerge
        fields = ["id", "kept", "merged", "state", "reason", "decided_by", "created_at", "decided_at"]


class KeptOut(serializers.Serializer[Any]):
    """What was kept, and why."""

    what = serializers.CharField()
    why = serializers.CharField()


class ErasedOut(serializers.Serializer[Any]):
    """What an erasure did."""

    id = serializers.UUIDField()
    erased_at = serializers.DateTimeField()
    deleted = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by kind; empty if it was done before.")
    kept = KeptOut(many=True)
