"""No pages here: the schedule has its own in `jobs.pages`, whose changes go through services and the audit trail."""

from django.contrib import admin
from django_celery_beat import admin as _pages  # noqa: F401 - registers its models, so that they can be taken out
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

admin.site.unregister([ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule])
