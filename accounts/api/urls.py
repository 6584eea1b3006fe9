"""Addresses under /api/ that concern access."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("me/", views.WhoAmI.as_view()),
    path("keys/", views.ApiKeyCollection.as_view()),
    path("keys/<int:id>/revoke/", views.ApiKeyRevoke.as_view()),
    path("audit/", views.AuditTrail.as_view()),
]
