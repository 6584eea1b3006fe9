"""How a call to WeCom is made: with the shared access token, through the guarded HTTP client, with one kind of error.

A token that WeCom refuses (it expired early, or was reset in the admin console) is renewed, and the call made once more: a refused token
means that nothing was done. The token and the secret stand in the address of a request, so addresses are never part of an error or log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import orjson

from posthaste.lib import foreign_json, http
from routing.wecom import tokens
from routing.wecom.errors import Cure, WeComError
from routing.wecom.tokens import Credentials

CONNECT_SECONDS = 4.0
TOTAL_SECONDS = 10.0
MEDIA_SECONDS = 60.0
MAX_ANSWER_BYTES = 16 << 20  # a page of a thousand messages, each of them long
MAX_DETAIL = 300
NO_ADDRESS = {"bad_address", "blocked_address"}  # codes of the guard
JSON = {"Content-Type": "application/json"}
HIDDEN = "•••"

Shape = TypeVar("Shape")
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Request:
    """A call before it has its token. `name` is its path behind /cgi-bin/."""

    name: str
    method: str = "POST"
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    max_bytes: int = MAX_ANSWER_BYTES
    seconds: float = TOTAL_SECONDS


class Caller:
    """Makes the calls of one application. Thread-safe; it keeps no state but the credentials."""

    def __init__(self, credentials: Credentials, *, http_client: http.GuardedClient | None = None) -> None:
        self.credentials = credentials
        self._http = http_client

    def post(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Make a call with a JSON body and return its answer.

        Raises:
            WeComError: WeCom refused it, or did not respond.
        """
        return self.answer(Request(name, headers=JSON, body=orjson.dumps(fields)))

    def get(self, name: str, /, **query: str) -> dict[str, Any]:
        """Make a call without a body and return its answer.

        Raises:
            WeComError: WeCom refused it, or did not respond.
        """
        return self.answer(Request(name, method="GET", query=query))

    def answer(self, request: Request) -> dict[str, Any]:
        """Make a call and return its answer in JSON.

        Raises:
            WeComError: WeCom refused it, or did not respond.
        """
        return self._made(request, self._checked)

    def content(self, request: Request) -> http.Response:
        """Make a call whose answer is a file and return it as it is.

        Raises:
            WeComError: WeCom refused it, or did not respond.
        """
        return self._made(request, self._file)

    def _made(self, request: Request, read: Callable[[Request, http.Response, str], Read]) -> Read:
        token = self._token()
        try:
            return read(request, self._sent(request, token), token)
        except WeComError as error:
            if error.cure != Cure.RENEW_TOKEN:
                raise
        token = self._token(refused=token)
        return read(request, self._sent(request, token), token)

    def _token(self, *, refused: str = "") -> str:
        return tokens.current(credentials=self.credentials, ask=self._new_token, refused=refused)

    def _new_token(self) -> tuple[str, float]:
        own = self.credentials
        request = Request(tokens.CALL, method="GET", query={"corpid": own.corp_id, "corpsecret": own.secret})
        answer = self._checked(request, self._sent(request, ""), "")
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int | float) or seconds <= 0:
            raise WeComError(request.name, 0, "The answer has no access token.")
        return token, float(seconds)

    def _sent(self, request: Request, token: str) -> http.Response:
        query = urlencode({**({"access_token": token} if token else {}), **(request.query or {})})
        try:
            return (self._http or http.client()).request(
                request.method,
                f"{self.credentials.base_url.rstrip('/')}/cgi-bin/{request.name}?{query}",
                headers=request.headers,
                body=request.body,
                connect_timeout=CONNECT_SECONDS,
                total_timeout=request.seconds,
                max_body=request.max_bytes,
            )
        except http.OutboundError as error:
            detail = self._scrubbed(error.detail, token)
            may_have_worked, is_misdirected = error.sent and request.method != "GET", error.code in NO_ADDRESS
            raise WeComError(request.name, 0, detail, may_have_worked=may_have_worked, is_misdirected=is_misdirected) from None

    def _checked(self, request: Request, response: http.Response, token: str) -> dict[str, Any]:
        """Return the JSON of an answer without an error."""
        may_have_worked = request.method != "GET"
        if response.status != 200:
            detail, is_fault_of_theirs = f"HTTP status {response.status}.", response.status >= 500 or response.status in (408, 425, 429)
            unclear = may_have_worked and response.status >= 500
            raise WeComError(request.name, 0, detail, may_have_worked=unclear, is_misdirected=not is_fault_of_theirs)
        if response.truncated:
            raise WeComError(request.name, 0, "The answer is too long.", may_have_worked=may_have_worked)
        try:
            found = foreign_json.loads(response.body)
        except ValueError:
            found = None
        code = found.get("errcode", 0) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(code, int):
            raise WeComError(request.name, 0, "The answer is not JSON.", may_have_worked=may_have_worked)
        if code:
            raise WeComError(request.name, code, self._scrubbed(str(found.get("errmsg", "")), token))
        return found

    def _file(self, request: Request, response: http.Response, token: str) -> http.Response:
        """Return an answer that is a file; what has no name and looks like JSON is an error."""
        is_file = "Content-Disposition" in response.headers or not response.body.startswith(b"{")
        if response.status != 200 or not is_file:
            self._checked(request, response, token)
        return response

    def _scrubbed(self, text: str, token: str) -> str:
        for secret in (token, self.credentials.secret):
            text = text.replace(secret, HIDDEN) if secret else text
        return text[:MAX_DETAIL]


def shaped(name: str, value: Any, shape: type[Shape]) -> Shape:
    """Return a part of an answer in its shape.

    Raises:
        WeComError: It has another one.
    """
    try:
        return msgspec.convert(value, shape, strict=False)
    except msgspec.ValidationError:
        raise WeComError(name, 0, "The answer has another form than documented.", may_have_worked=True) from None
