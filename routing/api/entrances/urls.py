"""The API's addresses of entrances."""

from django.urls import URLPattern, path

from routing.api.entrances import views

urlpatterns: list[URLPattern] = [
    path("entrances/", views.EntranceCollection.as_view()),
    path("entrances/<uuid:id>/", views.EntranceItem.as_view()),
    path("entrances/<uuid:id>/test/", views.EntranceTest.as_view()),
    path("entrance-kinds/", views.EntranceKinds.as_view()),
    path("conversations/<uuid:id>/reply-quota/", views.ReplyQuota.as_view()),
    path("contact-ways/", views.ContactWayCollection.as_view()),
    path("contact-ways/<uuid:id>/", views.ContactWayItem.as_view()),
]
