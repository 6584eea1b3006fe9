"""The runner of the tests (tests/run.py), tested on small runs of pytest."""
