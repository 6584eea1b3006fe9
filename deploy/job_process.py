"""The process of one run of a job: `python -m deploy.job_process RUN TOKEN RESULTS PARENT`, started by the worker that took the run.

What it prints and logs goes to the run's log; what became of it goes as JSON lines to the file descriptor RESULTS: `{"began": true}` when
the function is about to be called, then `{"ok": true}` or `{"error": "…"}`. It dies with the worker.
"""

import os
import signal
import sys
import traceback
from types import FrameType
from uuid import UUID

import orjson

PR_SET_PDEATHSIG = 1


class Told(BaseException):
    """The worker asked to stop: what the function has open is closed, for as long as the worker waits."""


def _end_with_worker(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(3)


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def main() -> int:
    """Carry out the run and return the exit status."""
    run_id, token, results, parent = UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    _end_with_worker(parent)
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
