"""What pages say of what a service did or refused."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.staff.tenant_admin import TenantAdmin
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text


def tried(admin: TenantAdmin, request: HttpRequest, row: Any, act: Callable[[], object], done: str) -> HttpResponse:
    """Do it, say what came of it, and lead back to the row's page."""
    try:
        act()
    except Problem as problem:
        errors = "; ".join(str(error.get("message", "")) for error in problem.errors)
        admin.message_user(request, errors or problem_text(problem), messages.ERROR)
    else:
        admin.message_user(request, done, messages.SUCCESS)
    return admin.back(request, row)


class DeletedByService(TenantAdmin):
    """Deletes one row at a time through a service, which may refuse."""

    saves_by_service = True
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete", obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Problem as problem:
            self.message_user(request, problem_text(problem), messages.ERROR)
            return HttpResponseRedirect(reverse(f"admin:{self.url_name('changelist')}"))
