"""Tests of how the product is run."""
