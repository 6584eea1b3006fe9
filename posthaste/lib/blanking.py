"""What must not stand in a log, blanked wherever it stands in a text: keys, tokens, addresses with secrets, recipients.

Recipients of some channels have no form (tokens of devices, names of users). Code that handles messages names them: see
`posthaste.lib.logs.about`.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "••••"
API_KEY = re.compile(r"\bph_(live|test)_([A-Za-z0-9]{8})_[A-Za-z0-9_-]{16,}")
#: Other secrets that are known by their form; the first group stays.
SECRETS = re.compile(
    r"""
      \b(whsec_)[A-Za-z0-9+/=_-]{8,}
    | \b(eyJ)[\w-]+\.eyJ[\w-]+\.[\w-]*
    | \b(bearer\s+)(?!ph_)[A-Za-z0-9._~+/=-]{16,}
    | \b(basic\s+)(?=\S*\d)[A-Za-z0-9+/]{12,}={0,2}
    | (/u/)[A-Za-z0-9_:.-]{16,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{1,20})://([^\s\"'<>]*)")
#: Whose host may be shown; of an address of a chat service, the host is a secret, too.
WEB, SERVERS = {"http", "https", "ws", "wss"}, {"amqp", "amqps", "postgres", "postgresql", "redis", "rediss", "smtp", "smtps", "sqlite"}
#: In texts of others: replies of mail servers, errors of the database, tracebacks.
EMAIL = re.compile(r"[A-Za-z0-9._%+'-]+@(?=[A-Za-z0-9-]+\.[A-Za-z0-9])")
PHONE = re.compile(r"(?<![\w.:+-])(?:\+\d{7,15}|1[3-9]\d{9})(?![\w-])")
#: PostgreSQL quotes whole rows in its errors.
ROW = re.compile(r"(Failing row contains \(|CONTEXT:\s+[^\n:]*:).*")
LEAST_RECIPIENT = 4  # a shorter one would blank parts of words


def blanked(text: str, recipients: Iterable[str] = ()) -> str:
    """Return a text without secrets, and without recipients that have a form or are named."""
    for recipient in recipients:
        text = _without(recipient, text)
    if "ph_" in text:
        text = API_KEY.sub(rf"ph_\1_\2_{HIDDEN}", text)
    text = SECRETS.sub(lambda found: f"{next(filter(None, found.groups()))}{HIDDEN}", text)
    if "://" in text:
        text = ADDRESS.sub(_origin, text)
    if "Failing row" in text or "CONTEXT" in text:
        text = ROW.sub(rf"\1{HIDDEN}", text)
    if "@" in text:
        text = EMAIL.sub(f"{HIDDEN}@", text)
    return PHONE.sub(HIDDEN, text)


def _without(recipient: str, text: str) -> str:
    if len(recipient) >= LEAST_RECIPIENT:
        for written in {recipient, quote(recipient, safe=""), quote(recipient)}:
            if written in text:
                text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", HIDDEN, text)
    return text


def _origin(found: re.Match[str]) -> str:
    """Leave of an address the scheme and the host: everything else may be a secret."""
    scheme, rest = found[1], found[2]
    if scheme.lower() in SERVERS:
        rest = rest.rpartition("@")[2]  # a password may hold a slash
    elif scheme.lower() not in WEB:
        return f"{scheme}://{HIDDEN}"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    return f"{scheme}://{authority.rpartition('@')[2]}{path if path in ('', '/') else f'/{HIDDEN}'}"
