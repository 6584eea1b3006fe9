"""Addresses under /api/ that concern access and the installation."""

from django.urls import path

from configcenter.api import locks, views

urlpatterns = [
    path("me/", views.WhoAmI.as_view()),
    path("keys/", views.ApiKeyCollection.as_view()),
    path("keys/<int:id>/revoke/", views.ApiKeyRevoke.as_view()),
    path("audit/", views.AuditTrail.as_view()),
    path("locks/", locks.LockCollection.as_view()),
    path("locks/release/", locks.LockRelease.as_view()),
]
