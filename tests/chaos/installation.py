"""What a fault may hurt, and putting it right again."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.integration.mending import mend
from tests.integration.stack import WEB_WORKERS, Stack
from tests.integration.waiting import poll
from tests.peers.smtp import MailServer
from tests.services import Services


@dataclass(frozen=True)
class Installation:
    """Private servers, and all processes of the product."""

    services: Services
    stack: Stack
    mails: MailServer  # gets what goes by ALARM_SMTP_URL
    has_small_disk: bool

    @property
    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.services["redis"].url)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on the product's database."""
        with psycopg.connect(self.services["postgresql"].url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def end_in_order(self, name: str) -> None:
        """End a process as a deployment does. It must come to its end by itself, and in the grace time.

        One that is only starting has nothing to end in order, so it may start first.
        """
        if name == "web":
            poll(lambda: self._living_children("web", self.stack.processes[name].pid) == WEB_WORKERS, reason="web does not start")
        if name in HEARTBEATS:
            sign_of_life = f"chaos:alive:{HEARTBEATS[name]}:{socket.gethostname()}:{self.stack.processes[name].pid}"
            poll(lambda: self.redis.exists(sign_of_life), reason=f"{name} does not start")
        self.stack.end(name)
        assert self.stack.processes[name].returncode == 0, f"{name}: {self.stack.log_tail(name)}"

    def _living_children(self, kind: str, parent: int) -> int:
        """How many processes have told that they live, of those that the parent has started."""
        pids = [key.decode().rpartition(":")[2] for key in self.redis.scan_iter(match=f"chaos:alive:{kind}:*")]
        started = (Path(f"/proc/{pid}/status") for pid in pids)
        return sum(f"\nPPid:\t{parent}\n" in status.read_text() for status in started if status.exists())

    def end_extra(self, label: str) -> None:
        """End a process that was started beside the usual ones, and forget it."""
        self.stack.end(label)
        del self.stack.processes[label]

    def serves(self) -> None:
        """Wait until the web process listens: clients have no use for a closed port."""

        def listens() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.stack.port), timeout=1):
                return True
            return False

        poll(listens, reason="web does not listen")

    def mend(self) -> None:
        """Put everything right that a test which failed has left behind."""
        for service in self.services.by_name.values():
            if service.process is None or service.process.poll() is not None:
                service.start()
            else:
                service.thaw()
        mend(self.stack)


HEARTBEATS = {"worker": "send", "worker-aux": "aux", "beat": "beat"}
