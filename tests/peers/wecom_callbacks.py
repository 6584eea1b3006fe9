"""How the WeCom server of the tests calls back: encrypted by another library than the product's code, and again until it is answered."""

import http.client
import secrets
import time
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

from wechatpy.enterprise.crypto import WeChatCrypto

ANSWER_SECONDS = 5.0  # after which WeCom calls again
TRIES = 3


class Caller:
    """Calls one address, or another that is given."""

    def __init__(self, *, token: str, aes_key: str, corp_id: str, address: str = "") -> None:
        self.address, self.corp_id = address, corp_id
        self.crypt = WeChatCrypto(token, aes_key, corp_id)
        self.statuses: list[int] = []  # of the answers in their order; 0: none

    def sealed(self, fields: dict[str, Any]) -> tuple[str, bytes]:
        """Return the query and the body of a callback."""
        query, encrypted = self._encrypted("<xml>" + "".join(_element(name, value) for name, value in fields.items()) + "</xml>")
        agent = str(fields.get("AgentID", ""))
        to = _element("ToUserName", self.corp_id)
        return query, f"<xml>{to}{_element('Encrypt', encrypted)}{_element('AgentID', agent)}</xml>".encode()

    def send(self, fields: dict[str, Any], *, address: str = "", times: int = 1) -> list[int]:
        """Call back `times` times, and each time up to three times while there is no answer within five seconds; return the statuses."""
        found = []
        query, body = self.sealed(fields)
        for _ in range(times):
            for _ in range(TRIES):
                found.append(self._request("POST", address or self.address, query, body)[0])
                if found[-1] == 200:
                    break
        return found

    def verify(self, *, address: str = "") -> bool:
        """Send what is sent when an address is saved, and return whether it was answered with the text that was encrypted."""
        query, echo = self.echo()
        status, said = self._request("GET", address or self.address, query, None)
        return status == 200 and said == echo.encode()

    def echo(self) -> tuple[str, str]:
        """Return the query that verifies an address, and the text to answer."""
        echo = str(secrets.randbelow(10**16))
        query, encrypted = self._encrypted(echo)
        return f"{query}&{urlencode({'echostr': encrypted})}", echo

    def _encrypted(self, plain: str) -> tuple[str, str]:
        found = ET.fromstring(self.crypt.encrypt_message(plain, secrets.token_hex(5), str(int(time.time()))))
        said = {element.tag: element.text or "" for element in found}
        query = {"msg_signature": said["MsgSignature"], "timestamp": said["TimeStamp"], "nonce": said["Nonce"]}
        return urlencode(query), said["Encrypt"]

    def _request(self, method: str, address: str, query: str, body: bytes | None) -> tuple[int, bytes]:
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, f"{parts.path}?{query}", body, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        except OSError:
            status, said = 0, b""
        finally:
            connection.close()
        self.statuses.append(status)
        return status, said


def _element(name: str, value: Any) -> str:
    return f"<{name}>{escape(str(value), quote=False)}</{name}>"
