"""The views of the console, one topic a module."""
