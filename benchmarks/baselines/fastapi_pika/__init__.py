"""Baseline (b): FastAPI + SQLAlchemy + pika: one insert and one confirmed publish a request, one consumer with a thread pool."""
