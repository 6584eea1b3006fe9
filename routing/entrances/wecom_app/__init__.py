"""A WeCom application: employees write to it. See docs/entrances.md."""
