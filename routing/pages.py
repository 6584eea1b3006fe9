"""The pages of the service desk outside of the admin; each is declared in the module of its subject."""

from routing import attention
from routing.desk import pages as desk
from routing.desk import ticket_pages
from routing.desk.reports.pages import figures, scheduled
from routing.desk.supervision import pages as supervision

__all__ = ["attention", "desk", "figures", "scheduled", "supervision", "ticket_pages"]
