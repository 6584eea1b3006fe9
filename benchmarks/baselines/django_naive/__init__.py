"""Baseline (a): Django + DRF serializer + `objects.create` + one Celery `.delay()` a message, one task a message with `save()` per state.

Kept on the cheap side where a choice was open: one constant API key instead of a look-up, a regular expression for the
phone number, persistent database connections, no trace, no templates, no retries.
"""
