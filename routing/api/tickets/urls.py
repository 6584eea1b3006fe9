"""The API's addresses of tickets, their types and tags."""

from django.urls import URLPattern, path

from routing.api.tickets import parts, replies, types, views

urlpatterns: list[URLPattern] = [
    path("tickets/", views.TicketCollection.as_view()),
    path("tickets/export/", views.TicketExport.as_view()),
    path("tickets/<uuid:id>/", views.TicketItem.as_view()),
    path("tickets/<uuid:id>/assign/", views.TicketAssign.as_view()),
    path("tickets/<uuid:id>/move/", views.TicketMove.as_view()),
    path("tickets/<uuid:id>/merge/", views.TicketMerge.as_view()),
    path("tickets/<uuid:id>/unmerge/", views.TicketUnmerge.as_view()),
    path("tickets/<uuid:id>/follow-up/", views.TicketFollowUp.as_view()),
    path("tickets/<uuid:id>/work-orders/", parts.TicketWorkOrders.as_view()),
    path("tickets/<uuid:id>/events/", parts.TicketEvents.as_view()),
    path("tickets/<uuid:id>/replies/", replies.TicketReplies.as_view()),
    path("tickets/<uuid:id>/notes/", parts.TicketNotes.as_view()),
    path("tickets/<uuid:id>/links/", parts.TicketLinks.as_view()),
    path("tickets/<uuid:id>/links/<int:link>/", parts.TicketLinkItem.as_view()),
    path("tickets/<uuid:id>/watchers/", parts.TicketWatchers.as_view()),
    path("tickets/<uuid:id>/watchers/<uuid:agent>/", parts.TicketWatcherItem.as_view()),
    path("tickets/<uuid:id>/checklist/", parts.TicketChecklist.as_view()),
    path("tickets/<uuid:id>/checklist/<uuid:item>/", parts.TicketChecklistItem.as_view()),
    path("ticket-types/", types.TicketTypes.as_view()),
    path("ticket-types/<slug:name>/", types.TicketTypeItem.as_view()),
    path("tags/", types.Tags.as_view()),
    path("tags/<uuid:id>/", types.TagItem.as_view()),
]
