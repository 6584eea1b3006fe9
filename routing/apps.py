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
        from routing.bot import reactions as of_the_bot  # noqa: F401 - like the next, says what happens after a change
        from routing.entrances import registry
        from routing.processing import reactions  # noqa: F401

        registry.discover()
