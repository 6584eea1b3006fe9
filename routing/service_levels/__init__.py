"""Service levels: clocks of conversations and tickets, their warnings and breaches."""
