"""The views of the console, a subject a module."""
