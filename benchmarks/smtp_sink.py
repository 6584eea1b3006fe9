"""An SMTP server that takes every mail and forgets it: as little work as the protocol allows, so that it is not the bottleneck.

python -m benchmarks.smtp_sink --port 2525

The command `XCOUNT` is answered with the number of mails taken.
"""

import argparse
import asyncio
import contextlib
import smtplib
from typing import Any

REPLIES = {b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n", b"QUIT": b"221 bye\r\n", b"DATA": b"354 go ahead\r\n"}


class Session(asyncio.Protocol):
    """One connection."""

    taken = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""
        self.in_data = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            if self.in_data:
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                self.buffer = self.buffer[end + 5 :]
                self.in_data = False
                Session.taken += 1
                self.transport.write(b"250 taken\r\n")
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            verb = line[:4].upper()
            if verb == b"XCOU":
                self.transport.write(b"250 %d\r\n" % Session.taken)
                continue
            self.transport.write(REPLIES.get(verb, b"250 ok\r\n"))
            self.in_data = verb == b"DATA"
            if verb == b"QUIT":
                self.transport.close()


def taken(port: int) -> int:
    """Ask a running sink how many mails it took."""
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        return int(client.docmd("XCOUNT")[1])


def main() -> None:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description="An SMTP server that forgets everything.")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", options.port, backlog=256)
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
