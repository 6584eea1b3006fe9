#!/usr/bin/env python
"""Django's command line for Posthaste."""

import os
import sys

from django.core.management import execute_from_command_line

from deploy.local.installation import CannotStart, adopt

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    try:
        adopt()
    except CannotStart as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)
