from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class TracingConfig(AppConfig):
    name = "tracing"
    verbose_name = _("Tracing")

    def ready(self) -> None:
        from tracing.checks import check_export  # the checks need the apps

        checks.register(check_export)
