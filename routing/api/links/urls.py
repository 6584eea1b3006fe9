"""The API's addresses of safe links."""

from django.urls import URLPattern, path

from routing.api.links import views

urlpatterns: list[URLPattern] = [
    path("links/", views.LinkCollection.as_view()),
    path("links/<uuid:id>/", views.LinkItem.as_view()),
    path("links/<uuid:id>/revoke/", views.LinkRevoke.as_view()),
    path("links/<uuid:id>/clicks/", views.LinkClicks.as_view()),
]
