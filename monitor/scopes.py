"""What API keys may be allowed to do with alarms."""

from django.utils.translation import gettext_lazy

from accounts.scopes import declare

ALARMS_READ = declare("alarms:read", gettext_lazy("read alarms, their notices and silences"))
ALARMS_MANAGE = declare("alarms:manage", gettext_lazy("acknowledge and silence alarms, and send test notices"))
