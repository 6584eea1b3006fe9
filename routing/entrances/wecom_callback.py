"""What the entrances of WeCom have in common: their settings, and callbacks that are checked and decrypted."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Self

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting
from messaging.channels.base import Misconfigured, OutcomeUnknown, ProviderError
from posthaste.lib import http
from posthaste.lib.targets import target_of
from routing.contract import Answer, EntranceRow, InboundRequest, NotAuthentic, Parsed
from routing.entrances.registry import ProbeFailed, SystemAway
from routing.wecom import callbacks, documents
from routing.wecom.client import Client
from routing.wecom.crypto import CryptError, MessageCrypt, aes_key
from routing.wecom.errors import Cure, WeComError
from routing.wecom.tokens import Credentials

#: A callback is repeated for some seconds. An older one is a replay, or a clock is wrong.
MAX_AGE = timedelta(minutes=10)
SUCCESS = Answer(body=b"success")
#: What helps where WeCom is away or busy.
LATER = (Cure.RETRY, Cure.RENEW_TOKEN, Cure.SLOW_DOWN)


class WeComSettings(Shape):
    """Which company."""

    corp_id: str = setting("", gettext_noop("Corp ID"), gettext_noop("In WeCom's admin console under My Company."), max_length=64)
    base_url: str = setting(
        "https://qyapi.weixin.qq.com", gettext_noop("WeCom's server"), gettext_noop("Another one for a private deployment."), max_length=300
    )

    @model_validator(mode="after")
    def _are_filled(self) -> Self:
        hot.filled(self, "corp_id", "base_url")
        try:
            target_of(self.base_url)
        except http.OutboundError as error:
            raise hot.Wrong("base_url", "{reason}", reason=error.detail) from None
        return self


class WeComSecrets(Shape):
    """What WeCom and this entrance have in common."""

    secret: str = setting(
        "", gettext_noop("Secret"), gettext_noop("Of the application, of customer service, or of customer contact."), max_length=200
    )
    token: str = setting("", gettext_noop("Token"), gettext_noop("From the settings of the callback in WeCom."), max_length=64)
    encoding_aes_key: str = setting(
        "", "EncodingAESKey", gettext_noop("From the settings of the callback in WeCom: 43 characters."), max_length=64
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        hot.filled(self, "secret", "token", "encoding_aes_key")
        try:
            aes_key(self.encoding_aes_key)
        except ValueError as error:
            raise hot.Wrong("encoding_aes_key", "{reason}", reason=str(error)) from None
        return self


def client_of(entrance: EntranceRow) -> Client:
    """Return what calls WeCom for an entrance."""
    settings = entrance.settings
    return Client(
        Credentials(
            corp_id=str(settings.get("corp_id", "")),
            secret=str(entrance.secrets.get("secret", "")),
            base_url=str(settings.get("base_url") or WeComSettings.model_fields["base_url"].default),
        )
    )


def verify(entrance: EntranceRow, request: InboundRequest) -> None:
    """Check signature, age and receiver of a callback, or of the check that WeCom makes when its address is saved.

    Raises:
        NotAuthentic: it is not from WeCom, not for this company, or old.
    """
    try:
        age = abs(request.received_at.timestamp() - int(request.query.get("timestamp", "")))
    except (ValueError, OverflowError):
        raise NotAuthentic(_("The parameters timestamp, nonce and msg_signature are needed.")) from None
    if age > MAX_AGE.total_seconds():
        raise NotAuthentic(_("The callback is more than ten minutes old, or a clock is wrong."))
    opened(entrance, request)


def opened(entrance: EntranceRow, request: InboundRequest) -> bytes:
    """Return what a callback says, decrypted.

    Raises:
        NotAuthentic: it is not from WeCom, or not for this company.
    """
    query = request.query
    signed = {"signature": query.get("msg_signature", ""), "timestamp": query.get("timestamp", ""), "nonce": query.get("nonce", "")}
    secrets = entrance.secrets
    try:
        crypt = MessageCrypt(
            token=str(secrets.get("token", "")),
            encoding_aes_key=str(secrets.get("encoding_aes_key", "")),
            receive_ids=(str(entrance.settings.get("corp_id", "")),),
        )
        if request.method == "GET":
            return crypt.decrypt_signed(query.get("echostr", ""), **signed)
        return crypt.open_body(request.body, **signed)
    except (CryptError, documents.BadDocument) as error:
        raise NotAuthentic(str(error)) from None
    except ValueError:  # no token or key: the entrance can't be called
        raise NotAuthentic(_("The entrance has no token or EncodingAESKey.")) from None


class WeComAdapter:
    """Checks callbacks; each kind says what it makes of them."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        verify(entrance, request)

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        plain = opened(entrance, request)
        if request.method == "GET":
            return Parsed(answer=Answer(body=plain))
        try:
            return self.read(entrance, callbacks.parse(plain))
        except documents.BadDocument as error:
            raise NotAuthentic(str(error)) from None

    def read(self, entrance: EntranceRow, said: callbacks.Callback) -> Parsed:
        """Return what a callback brings; what is not for this kind is answered, and left."""
        raise NotImplementedError


def as_provider_error(error: WeComError) -> ProviderError:
    """Return what a refused or lost call means for a message."""
    code, said = f"wecom_{error.code}" if error.code else "wecom_unreachable", f"{error.text} ({error.detail})"[:500]
    match error.cure:
        case _ if error.may_have_worked:
            return OutcomeUnknown(code, said)
        case Cure.RETRY | Cure.RENEW_TOKEN:
            return ProviderError(code, said, unreachable=True)
        case Cure.SLOW_DOWN:
            return ProviderError(code, said, retry_after=60)
        case Cure.CONFIGURE:
            return Misconfigured(said, field="")
    return ProviderError(code, said, permanent=True)


def fetch(entrance: EntranceRow, reference: Mapping[str, Any]) -> bytes:
    """Return a file that was sent in WeCom; nothing if WeCom does not have it any more, so that the text is not held up."""
    try:
        return client_of(entrance).download(media_id=str(reference["media_id"])).content
    except WeComError as error:
        if error.cure == Cure.GIVE_UP:
            return b""
        raise as_away(error) from None


def as_away(error: WeComError) -> Exception:
    """Return what a call that failed means for an arrival: `SystemAway` where it will work later, else the error itself."""
    return SystemAway(error.said) if error.cure in LATER else error


def probed(entrance: EntranceRow, ask: Callable[[Client], str]) -> str:
    """Ask WeCom something with the entrance's credentials.

    Raises:
        ProbeFailed: it refused, or did not respond.
    """
    try:
        return ask(client_of(entrance))
    except WeComError as error:
        raise ProbeFailed(error.said) from None
