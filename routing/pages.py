"""The service desk's pages: each module hangs its own where it belongs."""

from routing.desk import ticket_pages

__all__ = ["ticket_pages"]
