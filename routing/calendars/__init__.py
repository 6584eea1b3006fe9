"""Business calendars: opening hours, holidays and make-up days, and how much business time lies between two moments."""
