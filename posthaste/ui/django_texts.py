"""Texts of Django's own admin that the Chinese catalogue words in this project's terms.

A project's catalogue comes before Django's. The texts are named here so that makemessages finds them.
"""

from django.utils.translation import gettext_noop as _

REWORDED = (
    _("Add %s"),
    _("Change %s"),
    _("View %s"),
    _("Select %s to change"),
    _("Select %s to view"),
    _("Add another %(model)s"),
    _("Save and add another"),
)
