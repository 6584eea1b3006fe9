"""The admin site as an app configuration."""

from django.contrib.admin.apps import AdminConfig


class PosthasteAdminConfig(AdminConfig):
    """Django's admin with our site: its look, its guarded login."""

    default_site = "posthaste.site.PosthasteAdminSite"

    def ready(self) -> None:
        # Every publisher of tasks, including management commands, needs this application to be the current one.
        from posthaste import celery  # noqa: F401

        super().ready()
