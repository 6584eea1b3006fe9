"""The tests of Posthaste; `make test` runs them all (see tests/run.py)."""
