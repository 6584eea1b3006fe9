"""The project package: settings, entrances, and `lib`, which every app may use."""

__version__ = "0.1.0"  # as in pyproject.toml
