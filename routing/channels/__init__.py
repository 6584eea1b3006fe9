"""The channel by which replies leave through entrances."""
