"""Ratings of customers over the API."""
