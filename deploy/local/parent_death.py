"""Ties a command to its parent and its children to itself: `python parent_death.py [--with-children] COMMAND ARGUMENT…`.

A supervisor killed with SIGKILL can't stop its children; with this, the kernel sends its children SIGTERM all the same
(prctl(2), PR_SET_PDEATHSIG; Linux only, elsewhere the command simply runs). The other way round, a server whose main process
was killed leaves worker processes behind that go on answering with no supervisor to stop them: `--with-children` stays as the
parent and ends the whole process group when the main process falls.

The file imports nothing of the project, so that it costs a few milliseconds.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to send this process SIGTERM when the thread that started it ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def stay_with(command: list[str]) -> int:
    """Run a command, pass it the signals that ask to stop, and return its exit status.

    When the command falls, its process group, of which this process is the leader, is killed with it.
    """
    stops = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # none gets lost before there is a child to pass it to
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
        die_with_parent()
        os.execvp(command[0], command)
    for number in stops:
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "--with-children":
        sys.exit(stay_with(sys.argv[2:]))
    os.execvp(sys.argv[1], sys.argv[1:])
