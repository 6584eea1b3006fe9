"""A receiver of webhooks that takes everything, remembers everything, and fails on command; a `Gateway` otherwise.

As a process: `python -m tests.peers.webhook_receiver --port 8099 --log events.log`. Each event is written to the log as
`<event id> <webhook-id> <subject id> <type> taken|refused` before the answer goes out, so the log is right even when a process at either
end is killed. `--secret` checks the signature and answers 401 where it is wrong.
"""

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.peers.gateway import Answer, Gateway


@dataclass(frozen=True)
class Delivery:
    """One request."""

    webhook_id: str
    events: list[dict[str, Any]]
    headers: dict[str, str]
    content: bytes
    path: str
    taken: bool
    at: float


class WebhookReceiver(Gateway):
    """The server, in a thread of its own."""

    def __init__(self, *, secret: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.secret = secret
        self.deliveries: list[Delivery] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hooks"

    def events(self, *, taken: bool = True) -> list[dict[str, Any]]:
        """Return the events of all requests in the order they came; `taken`: only of those that were taken."""
        return [event for delivery in self.deliveries if delivery.taken or not taken for event in delivery.events]

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        path = target.partition("?")[0]
        if not path.startswith("/hooks"):
            return super().handle(method, target, headers, content)
        answer = self._script.popleft() if self._script else Answer(delay_ms=self.latency_ms)
        if self.secret:
            try:
                Webhook(self.secret).verify(content, headers)
            except WebhookVerificationError as error:
                answer = Answer(status=401, body={"error": str(error)})
        body = json.loads(content)
        taken, webhook_id = answer.takes(), headers.get("webhook-id", "")
        if self._log is not None:
            lines = "".join(
                f"{event['id']} {webhook_id} {event['data'].get('id')} {event['type']} {'taken' if taken else 'refused'}\n"
                for event in body["events"]
            )
            os.write(self._log, lines.encode())
        if self.keep_bodies:
            self.deliveries.append(Delivery(webhook_id, body["events"], headers, content, path, taken, time.time()))
        return answer


async def _serve(options: argparse.Namespace) -> None:
    receiver = WebhookReceiver(port=options.port, log=options.log, latency_ms=options.latency_ms, secret=options.secret, keep_bodies=False)
    await receiver.start()
    print(f"listening on {receiver.url}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Receives webhooks.")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--log", help="file that gets a line for each event")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--secret", default="", help="check the signature")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
