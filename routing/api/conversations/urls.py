"""The API's addresses of conversations."""

from django.urls import path

from routing.api.conversations import views

urlpatterns = [
    path("conversations/", views.ConversationCollection.as_view()),
    path("conversations/<uuid:id>/", views.ConversationItem.as_view()),
    path("conversations/<uuid:id>/lines/", views.ConversationLines.as_view()),
    path("conversations/<uuid:id>/reply/", views.ConversationReply.as_view()),
    path("conversations/<uuid:id>/typing/", views.ConversationTyping.as_view()),
    path("conversations/<uuid:id>/read/", views.ConversationRead.as_view()),
    path("conversations/<uuid:id>/resolve/", views.ConversationResolve.as_view()),
    path("conversations/<uuid:id>/intent/", views.ConversationIntent.as_view()),
    path("attachments/", views.AttachmentCollection.as_view()),
    path("attachments/<uuid:id>/", views.AttachmentItem.as_view()),
    path("arrivals/", views.ArrivalCollection.as_view()),
    path("arrivals/<uuid:id>/retry/", views.ArrivalRetry.as_view()),
]
