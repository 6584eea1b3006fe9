"""Service levels: clocks of conversations and tickets, and their warnings and breaches."""
