"""The WSGI application of baseline (a)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.baselines.django_naive.settings")
application = get_wsgi_application()
