"""The addresses below `/help/`."""

from django.urls import URLPattern, path

from routing.portal import calls, devices, pages, request_calls, widget  # noqa: F401 - devices says what links to go on elsewhere do

urlpatterns: list[URLPattern] = [
    path("help/<str:entrance>/", pages.home, name="help-home"),
    path("help/<str:entrance>/chat/", pages.chat, name="help-chat"),
    path("help/<str:entrance>/articles/", pages.find, name="help-articles"),
    path("help/<str:entrance>/a/<str:slug>/", pages.article, name="help-article"),
    path("help/<str:entrance>/request/", pages.request_form, name="help-request"),
    path("help/<str:entrance>/requests/", pages.my_requests, name="help-requests"),
    path("help/<str:entrance>/requests/<int:number>/", pages.one_request, name="help-one-request"),
    path("help/<str:entrance>/widget.js", widget.script, name="help-widget"),
    path("help/<str:entrance>/demo/", widget.demo, name="help-demo"),
    path("help/<str:entrance>/state/", calls.state, name="help-state"),
    path("help/<str:entrance>/suggest/", calls.suggest, name="help-suggest"),
    path("help/<str:entrance>/vote/<str:slug>/", calls.vote, name="help-vote"),
    path("help/<str:entrance>/rating/", calls.rate, name="help-rating"),
    path("help/<str:entrance>/email/", calls.give_email, name="help-email"),
    path("help/<str:entrance>/transcript/", calls.send_transcript, name="help-transcript"),
    path("help/<str:entrance>/device/", calls.go_on_elsewhere, name="help-device"),
    path("help/<str:entrance>/tickets/", calls.tickets, name="help-tickets"),
    path("help/<str:entrance>/tickets/<int:number>/", request_calls.ticket, name="help-ticket"),
    path("help/<str:entrance>/tickets/<int:number>/rating/", request_calls.rate, name="help-ticket-rating"),
]
