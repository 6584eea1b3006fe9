"""Addresses under /api/ of intents, utterances, models and recognition."""

from django.urls import URLPattern, path

from routing.api.intents import classify, intents, models, utterances

urlpatterns: list[URLPattern] = [
    path("routing/classify/", classify.Classify.as_view()),
    path("intents/", intents.IntentCollection.as_view()),
    path("intents/starting-set/", intents.StartingSet.as_view()),
    path("intents/<slug:name>/", intents.IntentItem.as_view()),
    path("utterances/", utterances.UtteranceCollection.as_view()),
    path("utterances/label/", utterances.UtteranceLabel.as_view()),
    path("utterances/delete/", utterances.UtteranceDelete.as_view()),
    path("utterances/import/", utterances.UtteranceImport.as_view()),
    path("utterances/<uuid:id>/", utterances.UtteranceItem.as_view()),
    path("intent-models/", models.ModelCollection.as_view()),
    path("intent-models/<int:number>/", models.ModelItem.as_view()),
    path("intent-models/<int:number>/cancel/", models.ModelCancel.as_view()),
    path("intent-models/<int:number>/activate/", models.ModelActivate.as_view()),
]
