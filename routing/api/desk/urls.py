"""The addresses of the desk's figures in the API."""

from django.urls import URLPattern, path

from routing.api.desk import figures

urlpatterns: list[URLPattern] = [path("desk/figures/", figures.Figures.as_view())]
