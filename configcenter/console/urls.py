"""Addresses of the console. Modules and free-form items share their pages: drafted, published and rolled back alike."""

from django.urls import URLPattern, path

from configcenter.console.views import edit, history, items, overview, publish, replay, tenants, transfer

app_name = "config"


def _life(before: str, name: str) -> list[URLPattern]:
    """Return the URL patterns of one module, override or item."""
    return [
        path(before, edit.edit, name=f"{name}-edit"),
        path(f"{before}discard/", edit.discard, name=f"{name}-discard"),
        path(f"{before}publish/", publish.publish, name=f"{name}-publish"),
        path(f"{before}gray/", publish.gray, name=f"{name}-gray"),
        path(f"{before}history/", history.history, name=f"{name}-history"),
        path(f"{before}compare/", history.compare, name=f"{name}-compare"),
        path(f"{before}releases/<int:number>/", history.release, name=f"{name}-release"),
        path(f"{before}remove/", history.remove, name=f"{name}-remove"),
    ]


urlpatterns = [
    path("", overview.overview, name="overview"),
    path("instances/", overview.instances, name="instances"),
    *_life("modules/<slug:name>/", "module"),
    path("modules/<slug:name>/live/", edit.live_json, name="module-live"),
    path("modules/<slug:name>/reach/", publish.reach_json, name="module-reach"),
    path("modules/<slug:name>/replay/", replay.replay, name="module-replay"),
    path("modules/<slug:name>/tenants/", tenants.tenants, name="module-tenants"),
    path("items/", items.listing, name="items"),
    path("items/new/", items.create, name="item-new"),
    *_life("items/<int:pk>/", "item"),
    path("items/<int:pk>/listeners/", items.listeners, name="item-listeners"),
    path("items/<int:pk>/about/", items.about, name="item-about"),
    path("namespaces/", items.namespaces, name="namespaces"),
    path("transfer/", transfer.transfer, name="transfer"),
    path("transfer/export/", transfer.export, name="export"),
]
