"""Granian, with the application imported before its processes are forked: they share that memory, and each serves at once.

    python -m deploy.preloaded OPTION… MODULE:NAME      options as for `python -m granian`

So importing the module must start no thread and open no connection; a test holds that. What a process needs of its own begins in it.
"""

import sys
from importlib import import_module

from granian.cli import entrypoint

from posthaste.lib import garbage

if __name__ == "__main__":
    garbage.expect_little()  # the application settles it
    import_module(sys.argv[-1].partition(":")[0])
    entrypoint()  # type: ignore[no-untyped-call]
