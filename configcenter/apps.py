from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConfigcenterConfig(AppConfig):
    name = "configcenter"
    verbose_name = _("Configuration")

    def ready(self) -> None:
        from configcenter import scopes  # noqa: F401 - declares what keys may be allowed to do
        from configcenter.services import tenants  # noqa: F401 - registers what goes before a tenant is deleted
