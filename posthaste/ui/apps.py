"""The interface as an app: it finds what the other apps declare for it. Pages and navigation are found with the addresses."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import autodiscover_modules


class UiConfig(AppConfig):
    name = "posthaste.ui"
    label = "ui"

    def ready(self) -> None:
        autodiscover_modules("labels")

        from posthaste.ui import checks

        register(checks.check_pages, Tags.urls)
        register(checks.check_navigation, Tags.urls)
