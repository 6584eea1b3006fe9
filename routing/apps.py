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
        from routing.desk import reactions as desk_reactions  # noqa: F401 - as below
        from routing.entrances import registry
        from routing.processing import reactions  # noqa: F401 - says what happens after a change

        registry.discover()
