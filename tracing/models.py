"""Traces live in Redis (see `tracing.services.record`); after they expire the message row still has its main times."""
