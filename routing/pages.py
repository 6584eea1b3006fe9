"""The pages of the service desk that hang outside of the admin; each is in the module of its subject."""

from routing.desk.reports import pages as reports
from routing.desk.reports import schedule_pages
from routing.desk.supervision import pages as supervision

__all__ = ["reports", "schedule_pages", "supervision"]
