from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RoutingConfig(AppConfig):
    name = "routing"
    verbose_name = _("Service desk")

    def ready(self) -> None:
        from routing import (
            references,  # noqa: F401 - tells what configuration names that does not exist
            replay,  # noqa: F401 - replays drafts of the rules
            scopes,  # noqa: F401 - declares what keys may be allowed to do
        )

        # Each says what happens in its part after a change in another.
        from routing.bot import reactions as bot  # noqa: F401
        from routing.conversations import telling  # noqa: F401
        from routing.desk import reactions as desk  # noqa: F401
        from routing.entrances import registry
        from routing.processing import reactions  # noqa: F401
        from routing.satisfaction import reactions as satisfaction  # noqa: F401
        from routing.service_levels import reactions as clocks  # noqa: F401
        from routing.tickets import reactions as tickets  # noqa: F401
        from routing.tickets import telling as of_tickets  # noqa: F401

        registry.discover()
