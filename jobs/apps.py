from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        from jobs import scopes  # noqa: F401 - declares what keys may be allowed to do

        autodiscover_modules("tasks")  # in every process: the web process publishes tasks and shows the jobs
