"""The pages that django-celery-beat brings are left out: they neither check nor audit a change as the job console does."""

from django.apps import apps
from django.contrib import admin

for model in apps.get_app_config("django_celery_beat").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
