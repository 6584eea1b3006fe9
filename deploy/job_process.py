"""The processes of one run of a job: `python -m deploy.job_process RUN TOKEN RESULTS`, started by the worker that took the run.

The first process only guards: it starts the run's own one and waits for it. The worker holds the other end of its standard input, which
ends with the worker, whatever ended that; then the guard kills the whole process group, with everything that the run has started.

What the run prints and logs goes to its log; what became of it goes as JSON lines to the file descriptor RESULTS: `{"began": true}` when
the function is about to be called, then `{"ok": true}` or `{"error": "…"}`.
"""

import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType
from uuid import UUID

import orjson

PR_SET_PDEATHSIG = 1


class Told(BaseException):
    """The worker asked to stop: what the function has open is closed, for as long as the worker waits."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def main() -> int:
    """Start the run's own process, wait for it, and return its exit status."""
    run_id, token, results = UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    guard = os.getpid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the run's own process answers it
    own = os.fork()
    if own:
        os.close(results)
        return _guard(own)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _end_with(guard)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return _carry_out(run_id, token, results)


def _guard(own: int) -> int:
    """Wait for a process and return its exit status. If the worker ends before it, end this process group instead."""
    changed, changes = os.pipe()
    os.set_blocking(changes, False)
    signal.set_wakeup_fd(changes)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # without a handler the wakeup is not written
    while True:
        ended, status = os.waitpid(own, os.WNOHANG)
        if ended:
            break
        ready, _writable, _failed = select.select([0, changed], [], [])
        if 0 in ready:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        if changed in ready:
            os.read(changed, 64)
    if os.WIFSIGNALED(status):  # end in the same way, so that the worker can tell
        number = os.WTERMSIG(status)
        with suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status)


def _end_with(guard: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(3)


def _carry_out(run_id: UUID, token: int, results: int) -> int:
    """Call the function of the run's job, and return the exit status."""
    os.set_inheritable(results, False)

    def tell(**result: object) -> None:
        os.write(results, orjson.dumps(result) + b"\n")

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    import django

    django.setup()
    from configcenter.services.loading import loader
    from jobs import registry
    from jobs.models import JobRun
    from jobs.services import current, execution
    from posthaste.celery import app

    app.loader.import_default_modules()
    loader.load()
    run = JobRun.objects.select_related("job").get(pk=run_id)
    found = registry.find(run.task)
    if found is None or run.token != token:
        tell(error="The run was overtaken before it began.")
        return 1
    signal.signal(signal.SIGTERM, _stop)
    tell(began=True)
    try:
        with current.within(execution.current_of(run)):
            execution.call(found, run)
    except Told:
        print("The run was told to stop.", flush=True)
        return 143
    except Exception as error:  # noqa: BLE001 - whatever a job raises is its result
        traceback.print_exc()
        tell(error=execution.error_text(error))
        return 1
    tell(ok=True)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # no thread that a job left behind keeps the process
