from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MonitorConfig(AppConfig):
    name = "monitor"
    verbose_name = _("Monitor")

    def ready(self) -> None:
        from monitor.alarms import configuration  # noqa: F401 - registers its modules
