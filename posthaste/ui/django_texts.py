"""Texts of Django's own that the Chinese catalogue words in this project's terms, or that Django's has not translated.

A project's catalogue comes before Django's. The texts are named here so that makemessages finds them.
"""

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext_lazy

REWORDED = (
    _("Add %s"),
    _("Change %s"),
    _("View %s"),
    _("Select %s to change"),
    _("Select %s to view"),
    _("Add another %(model)s"),
    _("Save and add another"),
)
UNTRANSLATED = (
    _("After you’ve created a user, you’ll be able to edit more user options."),
    _("Forgotten your login credentials?"),
    _("In case you’ve forgotten, you are:"),
    _("%(model)s instance with %(field)s %(value)r is not a valid choice."),
    ngettext_lazy(
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
        "n",
    ),
)
