"""Addresses under /api/ that concern messages. Every one answers with and without its trailing slash."""

from django.urls import path

from messaging.api.views import batches, breakers, limits, messages, providers, receipts, statistics, suppressions, templates, what_if

urlpatterns = [
    path("messages/", messages.MessageCollection.as_view()),
    path("messages/batch/", messages.BatchIntake.as_view()),
    path("messages/statistics/overview/", statistics.Overview.as_view()),
    path("messages/statistics/realtime/", statistics.Realtime.as_view()),
    path("messages/<uuid:id>/", messages.MessageItem.as_view()),
    path("messages/<uuid:id>/cancel/", messages.MessageCancel.as_view()),
    path("messages/<uuid:id>/retry/", messages.MessageRetry.as_view()),
    path("messages/<uuid:id>/trace/", messages.MessageTrace.as_view()),
    path("batches/", batches.BatchCollection.as_view()),
    path("batches/<uuid:id>/", batches.BatchItem.as_view()),
    path("batches/<uuid:id>/pause/", batches.BatchPause.as_view()),
    path("batches/<uuid:id>/resume/", batches.BatchResume.as_view()),
    path("batches/<uuid:id>/cancel/", batches.BatchCancel.as_view()),
    path("templates/", templates.TemplateCollection.as_view()),
    path("templates/<slug:name>/", templates.TemplateItem.as_view()),
    path("templates/<slug:name>/draft/", templates.TemplateDraft.as_view()),
    path("templates/<slug:name>/publish/", templates.TemplatePublish.as_view()),
    path("templates/<slug:name>/versions/", templates.TemplateVersions.as_view()),
    path("templates/<slug:name>/preview/", templates.TemplatePreview.as_view()),
    path("providers/", providers.ProviderCollection.as_view()),
    path("providers/<uuid:id>/", providers.ProviderItem.as_view()),
    path("providers/<uuid:id>/test/", providers.ProviderTest.as_view()),
    path("providers/<uuid:id>/receipt-secret/", providers.ProviderSecret.as_view()),
    path("breakers/", breakers.BreakerCollection.as_view()),
    path("breakers/<str:name>/", breakers.BreakerItem.as_view()),
    path("breakers/<str:name>/force/", breakers.BreakerForce.as_view()),
    path("limits/", limits.LimitsNow.as_view()),
    path("provider-kinds/", providers.ProviderKinds.as_view()),
    path("sandbox/outbox/", providers.SandboxOutbox.as_view()),
    path("suppressions/", suppressions.SuppressionCollection.as_view()),
    path("suppressions/bulk/", suppressions.SuppressionBulk.as_view()),
    path("suppressions/<uuid:id>/", suppressions.SuppressionItem.as_view()),
    path("config/modules/<slug:name>/what-if/", what_if.WhatIf.as_view()),
    path("config/modules/<slug:name>/override/what-if/", what_if.OverrideWhatIf.as_view()),
    path("receipts/<uuid:provider>/", receipts.ReceiptIntake.as_view()),
]
