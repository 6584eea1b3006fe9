"""The API's addresses of what agents use at the desk, and of its figures."""

from django.urls import URLPattern, path

from routing.api.desk import conversations, figures, schedules, views

urlpatterns: list[URLPattern] = [
    path("desk/figures/", figures.Figures.as_view()),
    path("desk/report-schedules/", schedules.ScheduleCollection.as_view()),
    path("desk/report-schedules/<uuid:id>/", schedules.ScheduleItem.as_view()),
    path("conversations/<uuid:id>/notes/", conversations.ConversationNotes.as_view()),
    path("conversations/<uuid:id>/tags/", conversations.ConversationTags.as_view()),
    path("conversations/<uuid:id>/priority/", conversations.ConversationPriority.as_view()),
    path("conversations/<uuid:id>/snooze/", conversations.ConversationSnooze.as_view()),
    path("conversations/<uuid:id>/close/", conversations.ConversationClose.as_view()),
    path("conversations/<uuid:id>/spam/", conversations.ConversationSpam.as_view()),
    path("conversations/<uuid:id>/reopen/", conversations.ConversationReopen.as_view()),
    path("conversations/<uuid:id>/merge/", conversations.ConversationMerge.as_view()),
    path("conversations/<uuid:id>/unmerge/", conversations.ConversationUnmerge.as_view()),
    path("quick-replies/", views.QuickReplyCollection.as_view()),
    path("quick-replies/<uuid:id>/", views.QuickReplyItem.as_view()),
]
