"""The API's addresses of customers."""

from django.urls import URLPattern, path

from routing.api.customers import merges, views

urlpatterns: list[URLPattern] = [
    path("customers/", views.CustomerCollection.as_view()),
    path("customers/<uuid:id>/", views.CustomerItem.as_view()),
    path("customers/<uuid:id>/identities/", views.CustomerIdentities.as_view()),
    path("customers/<uuid:id>/identities/<uuid:identity>/", views.CustomerIdentity.as_view()),
    path("customers/<uuid:id>/attributes/", views.CustomerAttributes.as_view()),
    path("customers/<uuid:id>/merge/<uuid:merged>/", merges.CustomerMergeWith.as_view()),
    path("customers/<uuid:id>/export/", views.CustomerExport.as_view()),
    path("customers/<uuid:id>/erase/", views.CustomerErase.as_view()),
    path("customer-merges/", merges.MergeCollection.as_view()),
    path("customer-merges/<uuid:id>/undo/", merges.MergeUndo.as_view()),
    path("customer-merges/<uuid:id>/dismiss/", merges.MergeDismiss.as_view()),
]
