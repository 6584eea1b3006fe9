"""Addresses under /api/ that concern the configuration."""

from django.urls import path

from configcenter.api import items, overrides
from configcenter.api import modules as config
from configcenter.api import rollout as steering

MODULE = "config/modules/<slug:name>/"
OVERRIDE = f"{MODULE}override/"
ITEM = "config/items/<str:namespace>/<str:group>/<str:data_id>/"

urlpatterns = [
    path("config/modules/", config.ModuleCollection.as_view()),
    path(MODULE, config.ModuleItem.as_view()),
    path(f"{MODULE}draft/", config.ModuleDraft.as_view()),
    path(f"{MODULE}validate/", config.ModuleValidate.as_view()),
    path(f"{MODULE}publish/", config.ModulePublish.as_view()),
    path(f"{MODULE}rollback/", config.ModuleRollback.as_view()),
    path(f"{MODULE}releases/", config.ModuleReleases.as_view()),
    path(f"{MODULE}releases/<int:number>/", config.ModuleRelease.as_view()),
    path(f"{MODULE}diff/", config.ModuleDiff.as_view()),
    path(f"{MODULE}gray/", steering.ModuleGray.as_view()),
    path(f"{MODULE}gray/promote/", steering.ModuleGrayPromote.as_view()),
    path(f"{MODULE}gray/abandon/", steering.ModuleGrayAbandon.as_view()),
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
    path(f"{ITEM}gray/promote/", items.ItemGrayPromote.as_view()),
    path(f"{ITEM}gray/abandon/", items.ItemGrayAbandon.as_view()),
    path("config/namespaces/", items.NamespaceCollection.as_view()),
    path("config/namespaces/<str:namespace>/", items.NamespaceItem.as_view()),
    path("config/instances/", steering.InstanceCollection.as_view()),
    path("config/export/", steering.Export.as_view()),
    path("config/import/", steering.Import.as_view()),
]
