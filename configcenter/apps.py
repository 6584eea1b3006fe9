from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from posthaste.lib.discovery import import_from_apps


class ConfigcenterConfig(AppConfig):
    name = "configcenter"
    verbose_name = _("Configuration")

    def ready(self) -> None:
        import_from_apps("configuration")  # each app declares its modules
        from configcenter import scopes  # noqa: F401 - declares what keys may be allowed to do
        from configcenter.services import tenants  # noqa: F401 - registers what goes before a tenant is deleted
