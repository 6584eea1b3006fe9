"""Business calendars and clocks in the API."""
