from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConfigcenterConfig(AppConfig):
    name = "configcenter"
    verbose_name = _("Configuration and access")
