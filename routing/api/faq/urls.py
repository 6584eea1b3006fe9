"""Addresses under /api/ of the FAQ and of answers that it suggests."""

from django.urls import URLPattern, path

from routing.api.faq import suggestions, views

urlpatterns: list[URLPattern] = [
    path("faq/", views.PublishedCollection.as_view()),
    path("faq/search/", views.FaqSearch.as_view()),
    path("faq/import/", views.FaqImport.as_view()),
    path("faq/entries/", views.EntryCollection.as_view()),
    path("faq/entries/<uuid:id>/", views.EntryItem.as_view()),
    path("faq/entries/<uuid:id>/submit/", views.EntrySubmit.as_view()),
    path("faq/entries/<uuid:id>/return/", views.EntryReturn.as_view()),
    path("faq/entries/<uuid:id>/publish/", views.EntryPublish.as_view()),
    path("faq/entries/<uuid:id>/archive/", views.EntryArchive.as_view()),
    path("faq/entries/<uuid:id>/restore/", views.EntryRestore.as_view()),
    path("faq/<uuid:id>/", views.PublishedItem.as_view()),
    path("conversations/<uuid:id>/suggestions/", suggestions.ConversationSuggestions.as_view()),
]
