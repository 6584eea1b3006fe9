"""The project package: settings, entrances, and `lib`, which every app may use."""
