"""WeCom's error codes, and what to do about each.

The numbers and meanings are those of WeCom's list of global error codes (https://developer.work.weixin.qq.com/document/path/90313, as it
was on 2023-08-20); the comment at each says what the list says. What helps is our conclusion, except where the list itself names it. A
code that is not in the table is not tried again: what it means has to be looked up. A new one is a line here.
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
_LATE_WELCOME = Meaning(Cure.GIVE_UP, _("The welcome message can't be sent: its 20 seconds are over, or one was sent already."))
_NO_WELCOME = Meaning(
    Cure.GIVE_UP,
    _("The welcome message can't be sent: customer and employee write to each other already, or the customer did not agree to archiving."),
)
_EMPLOYEE = Meaning(Cure.GIVE_UP, _("WeCom does not know this employee, or the application does not see them."))
_ACCOUNT = Meaning(Cure.CONFIGURE, _("WeCom does not know this customer service account, or the application may not manage it."))
_ENDED = Meaning(Cure.AWAIT_CUSTOMER, _("The session has ended. The customer has to write again before a reply can be sent."))
_QUOTA = Meaning(Cure.AWAIT_CUSTOMER, _("Five replies were sent since the customer last wrote. The customer has to write again."))
_LATE = Meaning(Cure.AWAIT_CUSTOMER, _("The customer last wrote more than 48 hours ago and has to write again before a reply can be sent."))
_STATE = Meaning(
    Cure.MOVE_SESSION,
    _("The session is handled in WeCom itself, or its 48 hours are over. Take it over, or wait until the customer writes."),
)
_MODE = Meaning(
    Cure.CONFIGURE,
    _("WeCom customer service is used inside WeCom, or on its own; the secret belongs to the other way. Enter that of the way in use."),
)
_API_OFF = Meaning(
    Cure.CONFIGURE,
    _("The API of WeCom customer service is switched off, or granted to another application. Change that in WeCom's console."),
)
_SERVICER = Meaning(Cure.CONFIGURE, _("This employee is no servicer of the customer service account, or takes no customers now."))
_NO_ANSWER = Meaning(Cure.RETRY, _("WeCom did not respond. Try again later."))
_MISDIRECTED = Meaning(
    Cure.CONFIGURE, _("There is no WeCom server at this address. A private one has to be allowed by OUTBOUND_ALLOWED_NETWORKS.")
)
_UNKNOWN = Meaning(Cure.GIVE_UP, _("WeCom refused the call. Look the error code up in WeCom's documentation."))

MEANINGS: dict[int, Meaning] = {
    -1: _BUSY,  # system busy; try again, at most three times
    6000: _BUSY,  # several callers changed the same data; try again
    40001: _SECRET,  # secret invalid, of another company, or of a disabled application
    40003: _EMPLOYEE,  # UserID invalid
    40004: _MEDIA,  # kind of file
    40005: _MEDIA,  # parameter type of an upload
    40006: _MEDIA,  # size of a file
    40007: _MEDIA,  # media_id: expired after three days, or of another kind of file
    40008: _PARAMETER,  # msgtype
    40009: _MEDIA,  # size of an image
    40011: _MEDIA,  # size of a video
    40013: _SECRET,  # CorpID
    40014: _TOKEN,  # access_token; "get a new one"
    40035: _PARAMETER,  # parameter invalid
    40056: Meaning(Cure.CONFIGURE, _("WeCom does not know this application. Check the agent ID.")),  # agentid
    40058: _PARAMETER,  # parameter invalid: bad JSON, too long, too many
    40063: _PARAMETER,  # parameter empty
    40091: _SECRET,  # secret, perhaps of another company
    40096: _CUSTOMER,  # external userid, or its employee is not visible to the application
    40123: _MEDIA,  # an image that is none, or is damaged
    41001: _TOKEN,  # access_token missing
    41002: _SECRET,  # corpid missing
    41004: _SECRET,  # secret missing
    41006: _PARAMETER,  # media_id missing
    41050: _LATE_WELCOME,  # welcome code: to be used within 20 s
    41051: _NO_WELCOME,  # customer and employee have begun to chat
    41053: _NO_WELCOME,  # customer has not agreed to archiving
    41096: _LATE_WELCOME,  # a welcome message is being sent already
    42001: _TOKEN,  # access_token expired; "get a new one"
    44001: _MEDIA,  # file empty
    44004: _PARAMETER,  # text empty
    45001: _MEDIA,  # file too large
    45002: Meaning(Cure.GIVE_UP, _("The text is longer than WeCom allows.")),  # 2,048 bytes
    45009: _OFTEN,  # limit of calls; ends by itself after a minute, hour, day or month
    45033: _OFTEN,  # limit of concurrent calls
    48001: _RIGHTS,  # API not granted
    48002: _RIGHTS,  # no permission for this API
    48006: _RIGHTS,  # permission withdrawn, as the application was not used for long
    48007: _ACCOUNT,  # customer service account not granted to the application
    50003: Meaning(Cure.CONFIGURE, _("The application is disabled. Enable it in WeCom's admin console.")),
    60011: _RIGHTS,  # no permission for this employee, department or tag
    60020: Meaning(Cure.CONFIGURE, _("The address of this server is not in the application's list of trusted IP addresses in WeCom.")),
    60021: _EMPLOYEE,  # userid outside what the application sees
    60111: _EMPLOYEE,  # UserID does not exist, or is outside what the application sees
    81013: Meaning(Cure.GIVE_UP, _("None of the recipients exists or can be seen by the application.")),
    84061: _CUSTOMER,  # not in the employee's contacts
    95000: _ACCOUNT,  # open_kfid invalid
    95001: _QUOTA,  # five messages until the customer writes again
    95002: _LATE,  # within 48 hours of what the customer wrote
    95003: Meaning(Cure.CONFIGURE, _("WeCom limits how many customers an unverified company may serve. Verify the company in WeCom.")),
    95004: _ACCOUNT,  # open_kfid does not exist: of another company, or deleted
    95007: Meaning(Cure.NEW_CURSOR, _("The token of the callback has expired. Fetch the messages without it.")),  # msgtoken
    95011: _MODE,  # used in WeCom, secret of the independent version
    95012: _MODE,  # used independently, secret of the version in WeCom
    95013: _ENDED,  # the session has ended
    95014: _SERVICER,  # no servicer, or not active in WeCom
    95016: Meaning(Cure.MOVE_SESSION, _("The session can't be moved to this state from the one it is in.")),
    95017: _API_OFF,  # API switch is off
    95018: _STATE,  # the state of the session allows no sending, or its 48 hours are over
    95019: _SERVICER,  # the servicer has stopped or pauses
    95023: _API_OFF,  # API granted to an application that a third party develops
    301002: _RIGHTS,  # no permission for this application
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
