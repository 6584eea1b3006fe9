"""Rows that are shown on the page of what they are parts of."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.staff.tenant_admin import without_shortcuts


class PartInline(admin.TabularInline):  # type: ignore[type-arg]
    """Parts of a row: who sees it sees them, and who may change it may add, change and remove them."""

    #: The model of the row, as permissions name it.
    whole = ""
    extra = 1

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.related_model is not None:
            without_shortcuts(field)
        return field

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(f"routing.view_{self.whole}", obj))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(f"routing.change_{self.whole}", obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)
