"""Addresses of the service desk outside the API: callbacks of entrances, safe links, the portal."""

from django.urls import URLPattern, path

from routing.desk.data.urls import urlpatterns as desk_data
from routing.entrances import callbacks
from routing.entrances.portal import views as portal
from routing.links import pages as links
from routing.portal import addresses as help_pages

urlpatterns: list[URLPattern] = []
urlpatterns += [path("l/<str:token>/", links.open_link, name="safe_link")]
urlpatterns += [
    path("chat/files/<str:signed>/", portal.download, name="chat-file"),
    path("chat/<uuid:entrance>/session/", portal.begin_session, name="chat-session"),
    path("chat/<uuid:entrance>/lines/", portal.lines, name="chat-lines"),
    path("chat/<uuid:entrance>/read/", portal.read, name="chat-read"),
    path("chat/<uuid:entrance>/files/", portal.upload, name="chat-upload"),
]
urlpatterns += [path("in/<uuid:entrance>/", callbacks.receive, name="entrance-callback")]
urlpatterns += help_pages.urlpatterns
urlpatterns += desk_data
