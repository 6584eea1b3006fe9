"""A mail server, a gateway for texts and an address for webhooks that print what arrives: for the first message of a newcomer.

    python -m tests.peers.receiver
    python -m tests.peers.receiver --receipts http://localhost:8000/api/receipts/<provider id>/ --secret whsec_…

With `--receipts` each text is followed by a signed receipt, as a provider would send it.
"""

import argparse
import json
import queue
import signal
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from uuid import uuid4

from standardwebhooks import Webhook

from tests.peers.gateway import Answer, Received
from tests.peers.smtp import Mail, MailServer
from tests.peers.webhook_receiver import WebhookReceiver


def say(*lines: str) -> None:
    print("\n".join([datetime.now().astimezone().strftime("── %H:%M:%S ") + "─" * 50, *lines]), flush=True)


def show_mail(mail: Mail) -> None:
    message = mail.message
    part = message.get_body(preferencelist=("plain", "html"))
    say(
        f"E-MAIL from {mail.sender} to {', '.join(mail.recipients)}",
        f"Subject: {message['Subject']}",
        "",
        part.get_content().rstrip() if part else "",
    )


def show_text(received: Received) -> None:
    say(f"TEXT to {received.to}  (id {received.id})", received.text)


class Receiver(WebhookReceiver):
    """The gateway for texts, which prints the events of webhooks, too."""

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        answer = super().handle(method, target, headers, content)
        if target.startswith("/hooks"):
            say(*(f"EVENT {event['type']}  {json.dumps(event['data'], ensure_ascii=False)}" for event in json.loads(content)["events"]))
        return answer


def send_receipt(url: str, secret: str, message_id: str, status: str = "delivered") -> int:
    """Post one signed receipt and return the HTTP status of the answer."""
    now = datetime.now(UTC)
    body = json.dumps(
        {"receipts": [{"message_id": message_id, "provider_message_id": f"gw-{message_id}", "status": status, "at": now.isoformat()}]}
    )
    receipt_id = f"receipt-{uuid4().hex}"
    request = urllib.request.Request(  # noqa: S310  the address is the caller's own
        url,
        body.encode(),
        {
            "Content-Type": "application/json",
            "webhook-id": receipt_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(receipt_id, now, body),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        return error.code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--smtp-port", type=int, default=2525)
    parser.add_argument("--http-port", type=int, default=8099)
    parser.add_argument("--receipts", metavar="URL", help="post a receipt for each text to this address")
    parser.add_argument("--secret", default="", help="the provider's receipt secret (whsec_…)")
    options = parser.parse_args()
    if bool(options.receipts) != bool(options.secret):
        parser.error("--receipts and --secret go together")
    waiting: queue.Queue[str] = queue.Queue()

    def take_text(received: Received) -> None:
        show_text(received)
        if options.receipts:
            waiting.put(received.id)

    def post_receipts() -> None:
        while True:
            message_id = waiting.get()
            try:
                say(f"RECEIPT for {message_id}: answered {send_receipt(options.receipts, options.secret, message_id)}")
            except OSError as error:
                say(f"RECEIPT for {message_id} could not be posted: {error}")

    threading.Thread(target=post_receipts, daemon=True).start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with (
            MailServer(host=options.host, port=options.smtp_port) as mail,
            Receiver(host=options.host, port=options.http_port, keep_bodies=False) as gateway,
        ):
            mail.on_message, gateway.on_message = show_mail, take_text
            print(
                f"Waiting for e-mail at smtp://{options.host}:{mail.port}, texts at http://{options.host}:{gateway.port}/send "
                f"and events at {gateway.url}. Ctrl-C ends.",
                flush=True,
            )
            stop.wait()
    except OSError as error:
        raise SystemExit(f"The receiver cannot start: {error}") from None


if __name__ == "__main__":
    main()
