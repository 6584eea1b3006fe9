"""Put a stack right again that a failed test has left in another state."""

import signal
from collections.abc import Mapping
from typing import Any

from tests.integration.stack import Stack, stat_of

STOPPED = ("T", "t")  # by a signal, by a tracer: proc_pid_stat(5)


def mend(stack: Stack) -> list[str]:
    """Have every usual process run, none stopped, none beside them, and all well; return what had to be done."""
    done = []
    for label in [name for name in stack.processes if name not in stack.usual]:
        stack.end(label)
        del stack.processes[label]
        done.append(f"ended {label}")
    for name in stack.usual:
        if not stack.is_running(name):
            if name in stack.processes:
                stack.kill(name)  # its children may have outlived it
            stack.start(name)
            done.append(f"started {name}")
        elif next(iter(stat_of(stack.processes[name].pid)), "") in STOPPED:
            stack.kill(name, signal.SIGCONT)
            done.append(f"resumed {name}")
    if done or stack.complaint():
        stack.wait_healthy()
        done.append("waited until all are well")
    return done


def effective(stack: Stack) -> dict[str, Any]:
    """Return what is configured, by module."""
    address = "/api/config/modules/"
    names = [module["name"] for module in stack.http.get(address).json()]
    return {name: stack.http.get(f"{address}{name}/").json()["effective"] for name in names}


def mend_configuration(stack: Stack, usual: Mapping[str, Any]) -> list[str]:
    """Publish again what is configured otherwise than usual, and return what had to be done."""
    changed = [module for module, content in effective(stack).items() if content != usual[module]]
    for module in changed:
        stack.configure(module, **usual[module])
    return [f"configured {module} as before" for module in changed]
