"""HTTP entrance: everything but WebSockets."""

import os

from django.core.wsgi import get_wsgi_application

from posthaste.lib import heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
application = get_wsgi_application()
heartbeat.start("web")
