"""The locks that are held now, and taking one away from a holder that does not come back."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from jobs.services import lock_control
from posthaste.lib import redis
from posthaste.lib.problems import Problem
from posthaste.ui.pages import at, page, problem_text, staff_page


@at("config/locks/", name="config-locks")
@staff_page(allowed=rights.may_view, to_change=rights.may_publish, methods=("GET", "HEAD", "POST"), refusal=rights.REFUSAL)
def locks(request: HttpRequest) -> HttpResponse:
    """List the locks, and free one once its name was typed."""
    wanted = request.POST.get("lock", "") or request.GET.get("free", "")
    error, status = "", 200
    if request.method == "POST":
        if request.POST.get("name", "").strip() != wanted:
            error, status = _("Type {name} to continue.").format(name=wanted), 422
        else:
            try:
                freed = lock_control.force_release(name=wanted, by=Actor.of_request(request))
                messages.success(
                    request, _("{name} was released. {owner} is notified within a second.").format(name=wanted, owner=freed.owner)
                )
            except Problem as problem:
                messages.error(request, problem_text(problem))
            except redis.Unavailable:
                messages.error(request, _("Redis is unavailable, so nothing was changed. Try again."))
            return HttpResponseRedirect(reverse("config-locks"))
    away, held = False, []
    try:
        held = lock_control.held_locks()
    except redis.Unavailable:
        away = True
    return page(
        request,
        "jobs/locks.html",
        status=status,
        title=_("Locks"),
        purpose=_(
            "A lock makes sure that something runs only once at a time. "
            "The database refuses writes of a former holder, so releasing a lock is safe."
        ),
        may_free=rights.may_publish(request.user),
        held=held,
        away=away,
        now=timezone.now(),
        wanted=next((lock for lock in held if lock.name == wanted), None),
        error=error,
    )
