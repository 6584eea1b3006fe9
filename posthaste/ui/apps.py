from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "posthaste.ui"
    label = "ui"
