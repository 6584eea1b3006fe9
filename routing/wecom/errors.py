"""WeCom's error codes, and what to do about each (https://developer.work.weixin.qq.com/document/path/90313).

A code that is not in the table is not tried again: what it means has to be looked up. A new one is a line here.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Cure(StrEnum):
    """What helps."""

    RETRY = "retry"  # the same call later
    SLOW_DOWN = "slow_down"  # the same call, after a longer wait
    RENEW_TOKEN = "renew_token"  # done by the client itself, once a call
    NEW_CURSOR = "new_cursor"  # fetch without the token or the cursor
    AWAIT_CUSTOMER = "await_customer"  # nothing can be sent until the customer writes
    MOVE_SESSION = "move_session"  # the session has to be in another state
    CONFIGURE = "configure"  # an administrator has to change something, here or in WeCom
    GIVE_UP = "give_up"  # this call will never work


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code means: its cure, and a sentence for the administrator."""

    cure: Cure
    text: str | Promise


_BUSY = Meaning(Cure.RETRY, _("WeCom is busy. Try again later."))
_TOKEN = Meaning(Cure.RENEW_TOKEN, _("WeCom refused the access token, even a new one. Check whether another system uses the same secret."))
_OFTEN = Meaning(Cure.SLOW_DOWN, _("WeCom's limit of calls is reached. Try again later."))
_SECRET = Meaning(Cure.CONFIGURE, _("WeCom does not know the corp ID or the secret. Copy both from WeCom's admin console."))
_RIGHTS = Meaning(Cure.CONFIGURE, _("The application has no permission for this. Grant it in WeCom's admin console."))
_CUSTOMER = Meaning(Cure.GIVE_UP, _("WeCom does not know this customer, or the customer is no contact of this company any more."))
_MEDIA = Meaning(Cure.GIVE_UP, _("WeCom does not take this file: its kind or size is not allowed, or it has expired."))
_PARAMETER = Meaning(Cure.GIVE_UP, _("WeCom refused the request as invalid."))
_WELCOME = Meaning(Cure.GIVE_UP, _("The welcome message can't be sent: its 20 seconds are over, or one was sent already."))
_ACCOUNT = Meaning(Cure.CONFIGURE, _("WeCom does not know this customer service account, or the application may not manage it."))
_ENDED = Meaning(Cure.AWAIT_CUSTOMER, _("The session has ended. The customer has to write again before a reply can be sent."))
_QUOTA = Meaning(Cure.AWAIT_CUSTOMER, _("Five replies were sent since the customer last wrote. The customer has to write again."))
_LATE = Meaning(Cure.AWAIT_CUSTOMER, _("The customer last wrote more than 48 hours ago and has to write again before a reply can be sent."))
_STATE = Meaning(Cure.MOVE_SESSION, _("The session is handled in WeCom itself. Take it over before you reply from here."))
_NO_ANSWER = Meaning(Cure.RETRY, _("WeCom did not respond. Try again later."))
_MISDIRECTED = Meaning(
    Cure.CONFIGURE, _("There is no WeCom server at this address. A private one has to be allowed by OUTBOUND_ALLOWED_NETWORKS.")
)
_UNKNOWN = Meaning(Cure.GIVE_UP, _("WeCom refused the call. Look the error code up in WeCom's documentation."))

MEANINGS: dict[int, Meaning] = {
    -1: _BUSY,
    40001: _SECRET,
    40003: Meaning(Cure.GIVE_UP, _("WeCom does not know this employee.")),
    40004: _MEDIA,
    40005: _MEDIA,
    40006: _MEDIA,
    40007: _MEDIA,
    40009: _MEDIA,
    40013: _SECRET,
    40014: _TOKEN,
    40035: _PARAMETER,
    40056: Meaning(Cure.CONFIGURE, _("WeCom does not know this application. Check the agent ID.")),
    40058: _PARAMETER,
    40096: _CUSTOMER,
    41001: _TOKEN,
    41002: _SECRET,
    41004: _SECRET,
    41050: _WELCOME,
    41051: _WELCOME,
    42001: _TOKEN,
    45002: Meaning(Cure.GIVE_UP, _("The text is longer than WeCom allows.")),
    45009: _OFTEN,
    45011: _OFTEN,
    45033: _OFTEN,
    47001: _PARAMETER,
    48002: _RIGHTS,
    60011: _RIGHTS,
    60020: Meaning(Cure.CONFIGURE, _("The address of this server is not in the application's list of trusted IP addresses in WeCom.")),
    60111: Meaning(Cure.GIVE_UP, _("WeCom does not know this employee.")),
    81013: Meaning(Cure.GIVE_UP, _("None of the recipients exists or can be seen by the application.")),
    84061: _CUSTOMER,
    95000: _ACCOUNT,
    95001: _QUOTA,
    95002: _LATE,
    95004: _ACCOUNT,
    95007: Meaning(Cure.NEW_CURSOR, _("The token of the callback has expired. Fetch the messages without it.")),
    95012: _RIGHTS,
    95013: _ENDED,
    95014: Meaning(Cure.CONFIGURE, _("This employee is no servicer of the customer service account.")),
    95016: Meaning(Cure.MOVE_SESSION, _("The session can't be moved to this state from the one it is in.")),
    95017: _RIGHTS,
    95018: _STATE,
}


def meaning(code: int) -> Meaning:
    """Return what an error code means."""
    return MEANINGS.get(code, _UNKNOWN)


class WeComError(Exception):
    """A call that WeCom refused, or that had no answer. `detail` is WeCom's own text, without secrets.

    `code` is WeCom's, or 0 where there was no answer that could be read. `may_have_worked`: the request left and its answer did not
    arrive, so that sending again may send twice. `is_misdirected`: at that address is no WeCom server, or it may not be reached.
    """

    def __init__(self, call: str, code: int, detail: str, *, may_have_worked: bool = False, is_misdirected: bool = False) -> None:
        super().__init__(f"{call}: {code} {detail}".strip())
        self.call = call
        self.code = code
        self.detail = detail
        self.may_have_worked = may_have_worked
        self._meaning = _MISDIRECTED if is_misdirected else meaning(code) if code else _NO_ANSWER

    @property
    def cure(self) -> Cure:
        """What helps."""
        return self._meaning.cure

    @property
    def text(self) -> str:
        """A sentence for the administrator, in the language that is active now."""
        return str(self._meaning.text)

    @property
    def said(self) -> str:
        """The sentence, with WeCom's code and what it said itself."""
        own = " ".join(filter(None, (str(self.code or ""), self.detail)))
        return f"{self.text} ({own})" if own else self.text
