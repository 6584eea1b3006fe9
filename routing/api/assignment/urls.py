"""The API's addresses of assignment."""

from django.urls import URLPattern, path

from routing.api.assignment import conversations, views

urlpatterns: list[URLPattern] = [
    path("skill-groups/", views.GroupCollection.as_view()),
    path("skill-groups/<uuid:id>/", views.GroupItem.as_view()),
    path("agents/", views.AgentCollection.as_view()),
    path("agents/<uuid:id>/", views.AgentItem.as_view()),
    path("agents/<uuid:id>/presence/", views.AgentPresence.as_view()),
    path("queue/", views.Queue.as_view()),
    path("conversations/<uuid:id>/claim/", conversations.Claim.as_view()),
    path("conversations/<uuid:id>/transfer/", conversations.Transfer.as_view()),
    path("conversations/<uuid:id>/release/", conversations.Release.as_view()),
    path("conversations/<uuid:id>/assignments/", conversations.Assignments.as_view()),
]
