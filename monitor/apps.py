from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class MonitorConfig(AppConfig):
    name = "monitor"
    verbose_name = _("Monitor")

    def ready(self) -> None:
        autodiscover_modules("metrics")  # each app declares its own
        from monitor import scopes  # noqa: F401 - declares what keys may be allowed to do
        from monitor.alarms import configuration  # noqa: F401 - registers its modules
