"""A site that embeds the chat: one page on an origin of its own, with a Content-Security-Policy that allows what the docs ask for.

with Shop() as shop:
    shop.embed(desk="http://127.0.0.1:8000", slug="lamps")
    page.goto(shop.origin)
"""

import http.server
import threading
from typing import Any, Self

PAGE = '<!doctype html><html lang="zh"><title>Shop</title><body><h1>灯</h1><script src="{script}" async></script></body></html>'
#: All that a site with a strict policy has to allow.
POLICY = (
    "default-src 'none'; script-src {desk}; frame-src {desk}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)


class Shop:
    """The site's server, in a thread of its own. `localhost` is another site than a product at 127.0.0.1, and the other way round."""

    def __init__(self, *, host: str = "localhost") -> None:
        shop = self
        self.page, self.policy = "", "default-src 'none'"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", shop.policy)
                self.end_headers()
                self.wfile.write(shop.page.encode() if self.path == "/" else b"")

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, name="shop", daemon=True)
        self.origin = f"http://{host}:{self.server.server_port}"

    def embed(self, *, desk: str, slug: str) -> None:
        """Show the chat of an entrance on the page."""
        self.page, self.policy = PAGE.format(script=f"{desk}/help/{slug}/widget.js"), POLICY.format(desk=desk)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
