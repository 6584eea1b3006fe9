"""Addresses of the desk's data."""

from django.urls import URLPattern, path

from routing.desk.data import acting, reading

urlpatterns: list[URLPattern] = [
    path("desk/data/inbox/", reading.inbox, name="desk-data-inbox"),
    path("desk/data/rows/", reading.inbox_rows, name="desk-data-rows"),
    path("desk/data/me/", reading.me, name="desk-data-me"),
    path("desk/data/files/<uuid:pk>/", reading.file, name="desk-data-file"),
    path("desk/data/c/<uuid:pk>/", reading.conversation, name="desk-data-conversation"),
    path("desk/data/c/<uuid:pk>/lines/", reading.lines, name="desk-data-lines"),
    path("desk/data/c/<uuid:pk>/<slug:action>/", acting.act, name="desk-data-act"),
]
