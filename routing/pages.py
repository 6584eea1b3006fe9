"""The pages of the service desk that hang outside the admin; importing them is what hangs them."""

from routing.desk import pages as desk

__all__ = ["desk"]
