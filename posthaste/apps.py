"""The admin site as an app configuration."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.admin import checks as admin_checks
from django.contrib.admin.apps import SimpleAdminConfig
from django.core import checks


class PosthasteAdminConfig(SimpleAdminConfig):
    """Django's admin with our site: its look, its guarded login.

    The apps' pages are found when `posthaste.urls` is imported, so that processes that serve none do not load them.
    """

    default_site = "posthaste.site.PosthasteAdminSite"

    def ready(self) -> None:
        # Every publisher of tasks, including management commands, needs this application to be the current one.
        from posthaste import celery  # noqa: F401

        checks.register(admin_checks.check_dependencies, checks.Tags.admin)
        checks.register(check_pages_of_admin, checks.Tags.admin)


def check_pages_of_admin(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the admin's pages, which have to be found first."""
    import_module(settings.ROOT_URLCONF)
    return list(admin_checks.check_admin_app(app_configs, **kwargs))
