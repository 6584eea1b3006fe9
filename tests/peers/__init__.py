"""The other ends: real servers that the platform sends to, for tests and for trying it out by hand."""
