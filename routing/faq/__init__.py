"""Answers to frequent questions: written, reviewed, published, found by what customers ask."""
