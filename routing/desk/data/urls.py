"""Addresses of the desk's data."""

from django.urls import URLPattern, path

from routing.desk.data import acting, keeping, many, reading

urlpatterns: list[URLPattern] = [
    path("desk/data/inbox/", reading.inbox, name="desk-data-inbox"),
    path("desk/data/rows/", reading.inbox_rows, name="desk-data-rows"),
    path("desk/data/me/", reading.me, name="desk-data-me"),
    path("desk/data/files/", keeping.upload, name="desk-data-upload"),
    path("desk/data/files/<uuid:pk>/", reading.file, name="desk-data-file"),
    path("desk/data/c/<uuid:pk>/", reading.conversation, name="desk-data-conversation"),
    path("desk/data/c/<uuid:pk>/lines/", reading.lines, name="desk-data-lines"),
    path("desk/data/c/<uuid:pk>/suggestions/", reading.suggestions, name="desk-data-suggestions"),
    path("desk/data/c/<uuid:pk>/<slug:action>/", acting.act, name="desk-data-act"),
    path("desk/data/bulk/", many.many, name="desk-data-bulk"),
    path("desk/data/bulk/merge/", many.merge_plan, name="desk-data-merge-plan"),
    path("desk/data/quick-replies/", keeping.replies, name="desk-data-quick-replies"),
    path("desk/data/quick-replies/<uuid:pk>/used/", keeping.used, name="desk-data-quick-reply-used"),
    path("desk/data/filters/", keeping.saved_filters, name="desk-data-filters"),
    path("desk/data/filters/<uuid:pk>/", keeping.saved_filter, name="desk-data-filter"),
    path("desk/data/notices/", keeping.notices, name="desk-data-notices"),
    path("desk/data/notices/read/", keeping.read_notices, name="desk-data-notices-read"),
    path("desk/data/presence/", keeping.presence, name="desk-data-presence"),
    path("desk/data/export/", keeping.export, name="desk-data-export"),
]
