"""Addresses under /api/ that concern jobs and locks."""

from django.urls import path

from jobs.api import jobs, locks, runs

urlpatterns = [
    path("jobs/", jobs.JobCollection.as_view()),
    path("jobs/<int:id>/", jobs.OneJob.as_view()),
    path("jobs/<int:id>/reset/", jobs.JobReset.as_view()),
    path("jobs/<int:id>/enable/", jobs.JobEnable.as_view()),
    path("jobs/<int:id>/disable/", jobs.JobDisable.as_view()),
    path("jobs/<int:id>/run/", jobs.JobStart.as_view()),
    path("jobs/<int:id>/runs/", runs.JobRuns.as_view()),
    path("jobs/runs/<uuid:id>/", runs.OneRun.as_view()),
    path("jobs/runs/<uuid:id>/log/", runs.RunLog.as_view()),
    path("jobs/runs/<uuid:id>/stop/", runs.RunStop.as_view()),
    path("locks/", locks.LockCollection.as_view()),
    path("locks/release/", locks.LockRelease.as_view()),
]
