"""The API's addresses of what agents use at the desk."""

from django.urls import URLPattern, path

from routing.api.desk import views

urlpatterns: list[URLPattern] = [
    path("quick-replies/", views.QuickReplyCollection.as_view()),
    path("quick-replies/<uuid:id>/", views.QuickReplyItem.as_view()),
]
