from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Messages")

    def ready(self) -> None:
        from messaging import configuration  # noqa: F401 - registers its modules
        from messaging.services import what_if  # noqa: F401 - replays drafts

        # Adapters know neither models nor broker, so the application lends the sandbox what it needs.
        from messaging.channels.sandbox import SandboxAdapter
        from messaging.services import outbox
        from messaging.services.sandbox import send_receipts_later

        SandboxAdapter.outbox = staticmethod(outbox.write)
        SandboxAdapter.receipts_sink = staticmethod(send_receipts_later)
