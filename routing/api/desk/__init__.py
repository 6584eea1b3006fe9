"""The API of what agents use at the desk."""
