"""Business calendars: when a desk is open, and arithmetic on the time in which it is."""
