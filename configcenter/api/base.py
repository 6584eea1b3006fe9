"""What every API view shares."""

from typing import Any

from rest_framework.generics import GenericAPIView

from configcenter.services.api_keys import Caller


class TenantView(GenericAPIView[Any]):
    """A view on the caller's own tenant. `scopes` says which scope each method needs."""

    scopes: dict[str, str] = {}
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

    def validated(self, kind: Any, **kwargs: Any) -> dict[str, Any]:
        """This function will check the request's body and give its values.

        Raises:
            rest_framework.exceptions.ValidationError: naming each wrong field.
        """
        serializer = kind(data=self.request.data, context=self.get_serializer_context(), **kwargs)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values
