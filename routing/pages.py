"""The pages of the service desk outside of the admin; each is declared in the module of its subject."""

<<<<<<< HEAD
from routing import attention
from routing.desk import pages as desk
from routing.desk import ticket_pages
from routing.desk.reports import pages as reports
from routing.desk.reports import schedule_pages
||||||| b6e26cbd
from routing.desk.reports import pages as reports
from routing.desk.reports import schedule_pages
=======
from routing.desk.reports.pages import figures, scheduled
>>>>>>> ev
from routing.desk.supervision import pages as supervision

<<<<<<< HEAD
__all__ = ["attention", "desk", "reports", "schedule_pages", "supervision", "ticket_pages"]
||||||| b6e26cbd
__all__ = ["reports", "schedule_pages", "supervision"]
=======
__all__ = ["figures", "scheduled", "supervision"]
>>>>>>> ev
