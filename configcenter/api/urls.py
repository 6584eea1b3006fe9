"""Addresses under /api/ that concern the configuration."""

from django.urls import path

from configcenter.api import items, modules, overrides, rollout

MODULE = "config/modules/<slug:name>/"
OVERRIDE = f"{MODULE}override/"
ITEM = "config/items/<str:namespace>/<str:group>/<str:data_id>/"

urlpatterns = [
    path("config/modules/", modules.ModuleCollection.as_view()),
    path(MODULE, modules.ModuleItem.as_view()),
    path(f"{MODULE}draft/", modules.ModuleDraft.as_view()),
    path(f"{MODULE}validate/", modules.ModuleValidate.as_view()),
    path(f"{MODULE}publish/", modules.ModulePublish.as_view()),
    path(f"{MODULE}rollback/", modules.ModuleRollback.as_view()),
    path(f"{MODULE}releases/", modules.ModuleReleases.as_view()),
    path(f"{MODULE}releases/<int:number>/", modules.ModuleRelease.as_view()),
    path(f"{MODULE}diff/", modules.ModuleDiff.as_view()),
    path(f"{MODULE}gray/", rollout.ModuleGray.as_view()),
    path(f"{MODULE}gray/promote/", rollout.ModuleGrayPromote.as_view()),
    path(f"{MODULE}gray/abandon/", rollout.ModuleGrayAbandon.as_view()),
    path(OVERRIDE, overrides.OverrideItem.as_view()),
    path(f"{OVERRIDE}draft/", overrides.OverrideDraft.as_view()),
    path(f"{OVERRIDE}validate/", overrides.OverrideValidate.as_view()),
    path(f"{OVERRIDE}publish/", overrides.OverridePublish.as_view()),
    path(f"{OVERRIDE}rollback/", overrides.OverrideRollback.as_view()),
    path(f"{OVERRIDE}releases/", overrides.OverrideReleases.as_view()),
    path(f"{OVERRIDE}diff/", overrides.OverrideDiff.as_view()),
    path(f"{OVERRIDE}gray/", overrides.OverrideGray.as_view()),
    path(f"{OVERRIDE}gray/promote/", overrides.OverrideGrayPromote.as_view()),
    path(f"{OVERRIDE}gray/abandon/", overrides.OverrideGrayAbandon.as_view()),
    path("config/items/", items.ItemCollection.as_view()),
    path(ITEM, items.ItemDetails.as_view()),
    path(f"{ITEM}draft/", items.ItemDraft.as_view()),
    path(f"{ITEM}validate/", items.ItemValidate.as_view()),
    path(f"{ITEM}publish/", items.ItemPublish.as_view()),
    path(f"{ITEM}rollback/", items.ItemRollback.as_view()),
    path(f"{ITEM}releases/", items.ItemReleases.as_view()),
    path(f"{ITEM}releases/<int:number>/", items.ItemRelease.as_view()),
    path(f"{ITEM}diff/", items.ItemDiff.as_view()),
    path(f"{ITEM}listeners/", items.ItemListeners.as_view()),
    path(f"{ITEM}gray/promote/", items.ItemGrayPromote.as_view()),
    path(f"{ITEM}gray/abandon/", items.ItemGrayAbandon.as_view()),
    path("config/namespaces/", items.NamespaceCollection.as_view()),
    path("config/namespaces/<str:namespace>/", items.NamespaceItem.as_view()),
    path("config/instances/", rollout.InstanceCollection.as_view()),
    path("config/export/", rollout.Export.as_view()),
    path("config/import/", rollout.Import.as_view()),
]
