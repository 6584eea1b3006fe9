"""The API's addresses of ratings."""

from django.urls import URLPattern, path

from routing.api.satisfaction import views

urlpatterns: list[URLPattern] = [
    path("satisfaction/", views.RatingCollection.as_view()),
    path("satisfaction/export/", views.RatingFile.as_view()),
    path("satisfaction/figures/", views.RatingFigures.as_view()),
]
