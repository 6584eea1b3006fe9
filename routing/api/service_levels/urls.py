"""The API's addresses of business calendars and clocks."""

from django.urls import URLPattern, path

from routing.api.service_levels import calendars, clocks

urlpatterns: list[URLPattern] = [
    path("business-calendars/", calendars.CalendarCollection.as_view()),
    path("business-calendars/<uuid:id>/", calendars.CalendarItem.as_view()),
    path("business-calendars/<uuid:id>/days/", calendars.CalendarDays.as_view()),
    path("business-calendars/<uuid:id>/days/<int:day>/", calendars.CalendarDayItem.as_view()),
    path("business-calendars/<uuid:id>/import/", calendars.CalendarImport.as_view()),
    path("business-calendars/<uuid:id>/import-file/", calendars.CalendarFileImport.as_view()),
    path("clocks/", clocks.ClockCollection.as_view()),
    path("clocks/<uuid:id>/", clocks.ClockItem.as_view()),
]
