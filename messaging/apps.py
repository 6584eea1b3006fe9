from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Messages")

    def ready(self) -> None:
        from messaging import (
            scopes,  # noqa: F401 - declares what keys may be allowed to do
            what_if,  # noqa: F401 - puts the flow rules in force; replays drafts
        )

        # Adapters know neither models nor broker, so the application lends the sandbox what it needs.
        from messaging.channels.sandbox import (
            SandboxAdapter,
            outbox,
        )
        from messaging.intake import limits  # noqa: F401 - puts the flow rules in force; replays drafts
        from messaging.receipts.sandbox import send_receipts_later
        from posthaste.lib.discovery import import_from_apps

        import_from_apps("event_types")  # the types of events that each app declares
        SandboxAdapter.outbox = staticmethod(outbox.write)
        SandboxAdapter.receipts_sink = staticmethod(send_receipts_later)
