"""Tests of the whole product: its processes run as they do in production, and are spoken to over HTTP only."""
