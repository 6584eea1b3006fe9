"""Addresses for recipients, outside the API."""

from django.urls import path

from messaging.suppression import pages

urlpatterns = [path("u/<str:token>/", pages.unsubscribe, name="unsubscribe")]
