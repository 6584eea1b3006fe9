"""What the list of messages does to many at once: sends again, cancels, decides, each after a confirmation."""

from collections import Counter

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import ReadOnly, own_rows
from messaging.admin.operations import OPERATIONS
from messaging.models import Message
from posthaste.ui.confirmation import MAX_AT_ONCE, confirm


class MessageActions(ReadOnly):
    """The actions of a list of messages."""

    actions = ["retry", "cancel", "settle_sent", "settle_failed"]

    def _many(
        self, request: HttpRequest, queryset: "QuerySet[Message]", verb: str, *, question: str, consequence: str, button: str
    ) -> HttpResponse | None:
        operation = OPERATIONS[verb]
        rows = own_rows(request, queryset, at_least=self.least).filter(status__in=operation.states).order_by("-id")
        found = list(rows.values_list("pk", "error_code")[:MAX_AT_ONCE])
        ids = [pk for pk, _code in found]

        def perform() -> None:
            number = operation.many(ids=ids, by=Actor.of_request(request), now=timezone.now())
            self.message_user(request, ngettext("Done for {n} message.", "Done for {n} messages.", number).format(n=f"{number:,}"))

        selected = queryset.order_by().values("pk")[: MAX_AT_ONCE + 1].count()
        return confirm(
            self,
            request,
            queryset,
            action=verb,
            question=question,
            consequence=consequence,
            button=button,
            ids=ids,
            left_out=max(0, selected - len(ids)),
            perform=perform,
            reasons=Counter(code for _pk, code in found if code),
        )

    @admin.action(description=gettext_lazy("Send again"), permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Message]") -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            "retry",
            question=_("Send these messages again?"),
            button=_("Send again"),
            consequence=_(
                "Failed, unknown, expired and cancelled messages start again. A message with an unknown outcome may arrive twice."
            ),
        )

    @admin.action(description=gettext_lazy("Cancel"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: "QuerySet[Message]") -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            "cancel",
            question=_("Cancel these messages?"),
            button=_("Cancel them"),
            consequence=_("Only messages that no worker has started to send can be stopped."),
        )

    @admin.action(description=gettext_lazy("Outcome unknown: mark as sent"), permissions=["operate"])
    def settle_sent(self, request: HttpRequest, queryset: "QuerySet[Message]") -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            "settle_sent",
            question=_("Mark these messages as sent?"),
            button=_("Mark as sent"),
            consequence=_("You have checked with the provider that they were sent. They are not sent again."),
        )

    @admin.action(description=gettext_lazy("Outcome unknown: mark as failed"), permissions=["operate"])
    def settle_failed(self, request: HttpRequest, queryset: "QuerySet[Message]") -> HttpResponse | None:
        return self._many(
            request,
            queryset,
            "settle_failed",
            question=_("Mark these messages as failed?"),
            button=_("Mark as failed"),
            consequence=_("You have checked with the provider that they were not sent. They can be sent again afterwards."),
        )
