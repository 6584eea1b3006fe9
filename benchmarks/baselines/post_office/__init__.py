"""Baseline (c): django-post_office with its own recommended options, `send_many` and then `send_queued_mail`."""
