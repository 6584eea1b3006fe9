from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RoutingConfig(AppConfig):
    name = "routing"
    verbose_name = _("Service desk")

    def ready(self) -> None:
        from routing import configuration  # noqa: F401 - registers its modules
