"""What API keys may be allowed to do with jobs."""

from django.utils.translation import gettext_lazy

from accounts.scopes import declare

JOBS_READ = declare("jobs:read", gettext_lazy("read jobs, their runs and logs"))
JOBS_MANAGE = declare("jobs:manage", gettext_lazy("create, change and delete jobs, start and stop their runs"))
