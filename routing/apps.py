from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RoutingConfig(AppConfig):
    name = "routing"
    verbose_name = _("Service desk")

    def ready(self) -> None:
        from routing import (
            replay,  # noqa: F401 - replays drafts of the rules
            scopes,  # noqa: F401 - declares what keys may be allowed to do
        )
        from routing.entrances import registry
        from routing.processing import reactions  # noqa: F401 - says what happens after a change
        from routing.satisfaction import reactions as satisfaction  # noqa: F401 - asks for ratings

        registry.discover()
