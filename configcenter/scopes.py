"""What API keys may be allowed to do with the configuration."""

from django.utils.translation import gettext_lazy

from accounts.scopes import declare

CONFIG_READ = declare("config:read", gettext_lazy("read the configuration"))
CONFIG_WRITE = declare("config:write", gettext_lazy("edit drafts of the configuration"))
CONFIG_PUBLISH = declare("config:publish", gettext_lazy("publish, roll back and import the configuration"))
