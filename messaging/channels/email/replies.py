"""What a mail server's refusal is about: the recipient, us, or this message.

Only a reply about the recipient may put an address on the suppression list. The enhanced status code decides (RFC 3463 and IANA's
registry of "SMTP Enhanced Status Codes"); without one, or where it is vague, the known texts of common servers decide. A refusal
about us (relaying, block lists, SPF, DMARC) concerns every message of the provider.
"""

import re
from enum import Enum

import structlog

from messaging.channels.base import ProviderError

log = structlog.get_logger(__name__)

#: The recipient's address can't receive mail, now or later: X.1.1 no mailbox, X.1.2 no such domain, X.1.3 malformed, X.1.6 moved away,
#: X.1.10 the domain accepts no mail.
_NO_RECIPIENT = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
#: The mailbox exists and is disabled. Some return, so whether it is listed is policy: `bounce_codes` of the delivery rules.
_DISABLED = "5.2.1"
#: RFC 4954, 6: a login is required, was refused, or its mechanism is too weak or needs encryption.
_LOGIN_CODES = frozenset({530, 534, 535, 538})
_LOGIN = re.compile(r"5\.7\.(8|9|11)")
#: X.1.7 and X.1.8 our address as the sender, X.7.20 to X.7.30 DKIM, SPF, reverse DNS, DMARC and the like.
_OURS = re.compile(r"5\.(1\.[78]|7\.(2\d|30))")
#: X.2.2 full, X.2.3 and X.3.4 too large, X.6.x conversion: of this message at this recipient; another provider changes nothing.
_OF_THE_MESSAGE = re.compile(r"5\.(2\.[2-4]|3\.4|6\.\d+)")

_ENHANCED = re.compile(r"\s*(\d\.\d{1,3}\.\d{1,3})\b|.*\(#(\d\.\d{1,3}\.\d{1,3})\)", re.DOTALL)  # the second form is qmail's
_ADDRESS = re.compile(r"<[^>]*>|\S+@\S+")
_ABOUT_US = re.compile(
    r"""
      relay(?!\ recipient) | rcpthosts | not\ (a\ )?local\ host
    | (black|block|deny)[\s-]?list | blocked\ (using|by|for) | \b(dnsbl|rbl|sbl|xbl|pbl)\b
    | spamhaus | spamcop | barracuda | sorbs | senderscore | (?<!not\ )listed\ (in|at|by|on)
    | \b(spf|dkim|dmarc|arc)\b | reverse\ (dns|lookup|hostname) | \b(rdns|ptr|helo|ehlo)\b
    | \b(your|client|sending|source)\s(ip|host|server|domain|network|mta|account)\b | \bip\ (address\ )?\[?\d | reputation
    | sender\ (address\ |domain\ )?(rejected|refused|denied|verif|not|is\ not|unknown|invalid) | (invalid|unknown|bad)\ sender
    | domain\ of\ sender | from\ (address|domain|header) | return[\s-]path
    | authenticat | \bauth\b | \blog[\s-]?in\b | credential
    | (?<!recipient\ )not\ authori[sz]ed | unauthori[sz]ed | not\ permitted | not\ allowed\ to\ send
    | rate\ limit
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NO_SUCH_RECIPIENT = re.compile(
    r"""
      \b(no|not\ a|unknown|invalid|nonexistent|bad)\ ((such|a|valid|known|local|virtual)\ )*(user|recipient|mailbox|account|address)\b
    | \b(user|recipient|mailbox|account|address)\b[^.]{0,60}?\b(
          unknown | not\ found | invalid | inexistent | nonexistent | (does\ not|doesn['’]?t|do\ not|did\ not|never)\ exist
        | not\ (a\ )?(known|valid) | not\ listed\ in | no\ longer\ (exists|valid|available)
      )
    | no\ mailbox\ here\ by\ that\ name | (does\ not|doesn['’]?t)\ have\ an?\ \S+\ account
    | (无此|没有此|未知).{0,4}(用户|邮箱|收件人|帐号|账号) | (用户|邮箱|收件人|帐号|账号).{0,6}(不存在|无效)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SWITCHED_OFF = re.compile(r"\b(mailbox|account|user)\b[^.]{0,40}?\b(disabled|suspended|deactivated|inactive)\b", re.IGNORECASE)
_CONTENT = re.compile(r"\b(spam|virus|malware|phish\w*|content|attachment|url|link)\b|too (large|big|long)|message size", re.IGNORECASE)


class Subject(Enum):
    """What a permanent refusal is about."""

    RECIPIENT = "recipient"  # the address receives no mail
    DISABLED = "disabled"  # the mailbox is switched off
    LOGIN = "login"  # the provider's credentials
    US = "us"  # the provider's account, address or sender
    MESSAGE = "message"
    UNCLEAR = "unclear"


def subject_of(text: str) -> Subject:
    """Return what the text of a 5yz reply is about."""
    found = _ENHANCED.match(text)
    enhanced = (found[1] or found[2]) if found else ""
    plain = _ADDRESS.sub(" ", text)  # an address may contain any word
    if _LOGIN.fullmatch(enhanced):
        return Subject.LOGIN
    if _OURS.fullmatch(enhanced):
        return Subject.US
    if _OF_THE_MESSAGE.fullmatch(enhanced):
        return Subject.MESSAGE
    if _ABOUT_US.search(plain):
        return Subject.US
    if enhanced == _DISABLED or (enhanced not in _NO_RECIPIENT and _SWITCHED_OFF.search(plain)):
        return Subject.DISABLED
    if enhanced in _NO_RECIPIENT or _NO_SUCH_RECIPIENT.search(plain):
        return Subject.RECIPIENT
    return Subject.MESSAGE if _CONTENT.search(plain) else Subject.UNCLEAR


def is_about_login(code: int, text: str) -> bool:
    """Return whether a 5yz reply refuses our credentials, or asks for some."""
    return code in _LOGIN_CODES or (code >= 500 and subject_of(text) is Subject.LOGIN)


def login_refused(code: int, text: str) -> ProviderError:
    """Return the error for refused credentials."""
    return ProviderError("provider_auth", f"The mail server refused the login: {code} {text}", unreachable=True)


def refusal(code: int, text: str, *, content_was_seen: bool) -> ProviderError:
    """Return the error for a refused recipient or, with `content_was_seen`, for a refused mail.

    RFC 5321, 4.2.1: 4yz may succeed later, 5yz will not.
    """
    if code == 421:
        return ProviderError("smtp_421", text, unreachable=True)
    if code < 500:
        return ProviderError(f"smtp_{code}", text)
    match Subject.LOGIN if code in _LOGIN_CODES else subject_of(text):
        case Subject.LOGIN:
            return login_refused(code, text)
        case Subject.US:
            log.warning("mail server refuses us", code=code, reply=text[:200])
            error = ProviderError("sender_refused", f"{code} {text}", elsewhere=True)
            error.at_fault = True
            return error
        case Subject.RECIPIENT:
            return ProviderError(f"smtp_{code}", text, permanent=True, hard_bounce=True)
        case Subject.DISABLED:
            return ProviderError("mailbox_disabled", f"{code} {text}", permanent=True)
        case Subject.UNCLEAR if not content_was_seen:  # whatever it is about, it is not the text
            log.warning("mail server refuses a recipient for an unclear reason", code=code, reply=text[:200])
            return ProviderError(f"smtp_{code}", text, permanent=True, elsewhere=True)
    return ProviderError(f"smtp_{code}", text, permanent=True)
