"""The API's addresses of what agents use at the desk, and of its figures."""

from django.urls import URLPattern, path

from routing.api.desk import figures, schedules, views

urlpatterns: list[URLPattern] = [
    path("desk/figures/", figures.Figures.as_view()),
    path("desk/report-schedules/", schedules.ScheduleCollection.as_view()),
    path("desk/report-schedules/<uuid:id>/", schedules.ScheduleItem.as_view()),
    path("quick-replies/", views.QuickReplyCollection.as_view()),
    path("quick-replies/<uuid:id>/", views.QuickReplyItem.as_view()),
]
