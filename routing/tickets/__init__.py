"""Tickets: opened, passed on, resolved; their history, links and checklists."""
