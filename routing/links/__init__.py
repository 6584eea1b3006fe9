"""Safe links: addresses with a purpose, an end and a log, which a scanner that follows them uses nothing up of."""
