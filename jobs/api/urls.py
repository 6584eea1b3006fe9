"""Addresses under /api/ that concern locks."""

from django.urls import path

from jobs.api import locks

urlpatterns = [
    path("locks/", locks.LockCollection.as_view()),
    path("locks/release/", locks.LockRelease.as_view()),
]
