"""What every API view shares."""

from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import SandboxSafe
from accounts.services.api_keys import Caller
from posthaste.lib.filters import Query, check_parameters, parameters_of
from posthaste.lib.flow.views import FlowLimited
from posthaste.lib.problems import MAX_ERRORS, MORE


class BoundedList(serializers.ListField):
    """A list whose length is checked before its entries: DRF checks all of them first."""

    def to_internal_value(self, data: Any) -> list[Any]:
        assert self.max_length is not None, "a list in a body needs a max_length"
        if isinstance(data, list) and len(data) > self.max_length:
            raise serializers.ValidationError(_("At most {n} entries.").format(n=self.max_length), code="too_many")
        values: list[Any] = super().to_internal_value(data)
        return values


#: The JSON type of a value by its field's class, the first that fits: the REST framework would take 0 for "0" and "no" for false.
JSON_TYPES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], type | tuple[type, ...]], ...] = (
    (serializers.BooleanField, bool),
    (serializers.IntegerField, int),
    (serializers.FloatField, (int, float)),
    (serializers.CharField, str),
    (serializers.UUIDField, str),
)


def _is_of_another_type(field: Any, value: Any) -> bool:
    """Return whether a value has another JSON type than its field."""
    wanted = next((types for kind, types in JSON_TYPES if isinstance(field, kind)), None)
    return wanted is not None and value is not None and (not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)))


def _wrong_types(field: Any, value: Any) -> Any:
    """Return the errors of a value, or of a list's entries by their index, that have the wrong JSON type; empty: none."""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        if field.max_length is not None and len(value) > field.max_length:
            return []  # its length is the error
        return {index: wrong for index, entry in enumerate(value) if (wrong := _wrong_types(field.child, entry))}
    return [serializers.ErrorDetail(str(field.error_messages["invalid"]), code="invalid")] if _is_of_another_type(field, value) else []


class Body(serializers.Serializer[dict[str, Any]]):
    """Base of every request body. Fields that do not exist and values of another JSON type are refused, not passed over or converted."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if self.parent is not None:
            # Only the body itself may leave fields out in a change: an entry of a list is always whole.
            self.root.partial, was_partial = False, getattr(self.root, "partial", False)
            try:
                return self._checked(data)
            finally:
                self.root.partial = was_partial
        return self._checked(data)

    def _checked(self, data: Any) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        values: dict[str, Any] = {}
        wrong = {
            name: found
            for name, field in (self.fields.items() if isinstance(data, dict) else ())
            if not field.read_only and name in data and (found := _wrong_types(field, data[name]))
        }
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not isinstance(data, dict) or not isinstance(error.detail, dict):
                raise
            errors = dict(error.detail)
        errors |= wrong
        errors = {name: errors.pop(name) for name, _field in self.fields.items() if name in errors} | errors  # in the order of the fields
        unknown = [name for name in data if name not in self.fields]
        if unknown:
            message = _("Unknown field. Available: {known}.").format(known=", ".join(self.fields))
            errors |= {name: [serializers.ErrorDetail(message, code="unknown")] for name in unknown[:MAX_ERRORS]}
        if len(unknown) > MAX_ERRORS:
            number = serializers.ErrorDetail(str(len(unknown) - MAX_ERRORS), code=MORE)
            errors["non_field_errors"] = [*errors.get("non_field_errors", []), number]
        if errors:
            raise serializers.ValidationError(errors)
        return values


class BodySchema(OpenApiSerializerExtension):
    """How the API reference describes a body: with no other fields than its own."""

    target_class = Body
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**found, "additionalProperties": False}


def readable_or(shape: type[serializers.BaseSerializer[Any]], *always: str) -> dict[str, Any]:
    """Describe the answer of `TenantView.readable`: a row as a shape has it, or only its fields `always`."""
    fields = {"type": "object", "properties": {name: {} for name in always}, "required": [*always]}
    whole = {"$ref": f"#/components/schemas/{shape.__name__}"}
    return {"anyOf": [whole, fields], "description": f"Whole for keys that may also read it; otherwise {', '.join(always)}."}


class TenantView(FlowLimited, GenericAPIView[Any]):
    """A view on the caller's own tenant. `scopes` says which scope each method needs.

    A sandbox key may call no method but GET, unless `sandbox_safe` declares that the method changes nothing, or only what belongs to the
    sandbox. With `SANDBOX_ONLY`, `is_live` decides about the row that `get_object` finds.
    """

    scopes: dict[str, str] = {}
    #: The parameters in the address, by method, beside the filters and the page of a list.
    queries: dict[str, type[Query]] = {}
    sandbox_safe: dict[str, SandboxSafe] = {}
    #: The scope that reads such rows, and which of their fields the answers to writes show to keys without it.
    read_scope = ""
    always_told: tuple[str, ...] = ()
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    lookup_url_kwarg = "id"
    lookup_field = "pk"

    @property
    def caller(self) -> Caller:
        """Who calls."""
        caller = self.request.user
        assert isinstance(caller, Caller)
        return caller

    @property
    def tenant_id(self) -> int:
        """Whose rows are seen."""
        return self.caller.tenant_id

    def readable(self, shown: Mapping[str, Any], *, scope: str, always: Collection[str]) -> dict[str, Any]:
        """Return what the answer to a write shows of a stored row.

        That is all of it for keys that may read it, which `scope` allows. Others get the fields `always`, which tell them which row they
        changed and what became of it.
        """
        return dict(shown) if self.caller.may(scope) else {name: shown[name] for name in always}

    def written(self, row: Any, *, status: int = 200) -> Response:
        """Answer a write with its row, as far as the key may read it."""
        return Response(self.readable(self.get_serializer(row).data, scope=self.read_scope, always=self.always_told), status=status)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in self.allowed_methods:
            check_parameters(request.query_params, parameters_of(type(self), self._method))

    @property
    def _method(self) -> str:
        return "GET" if self.request.method == "HEAD" else str(self.request.method)

    def asked(self) -> dict[str, Any]:
        """Check the parameters of the address and return their values.

        Raises:
            rest_framework.exceptions.ValidationError: naming each wrong one.
        """
        query = self.queries[self._method](data=self.request.query_params, context=self.get_serializer_context())
        query.is_valid(raise_exception=True)
        values: dict[str, Any] = query.validated_data
        return values

    def is_live(self, row: Any) -> bool:
        """Return whether a row is more than the sandbox's, so that a sandbox key may not change it."""
        return True

    def validated(self, kind: Any, **kwargs: Any) -> dict[str, Any]:
        """Check the request's body and return its values.

        Raises:
            rest_framework.exceptions.ValidationError: naming each wrong field.
        """
        serializer = kind(data=self.request.data, context=self.get_serializer_context(), **kwargs)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values
