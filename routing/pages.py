"""The pages of the service desk that hang outside of the admin; each is in the module of its subject."""

from routing.desk.reports.pages import figures, scheduled
from routing.desk.supervision import pages as supervision

__all__ = ["figures", "scheduled", "supervision"]
