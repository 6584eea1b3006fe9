import pytest

from messaging.channels.email.replies import Subject, refusal, subject_of

RECIPIENT = [
    "5.1.1 The email account that you tried to reach does not exist.",
    "5.1.1 <relay@example.com>: Recipient address rejected: User unknown in relay recipient table",
    "5.1.1 <spf@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    "5.1.10 Recipient not found by SMTP address lookup",
    "5.1.2 Bad destination system address",
    "sorry, no mailbox here by that name. (#5.1.1)",
    "No such user",
    "Unknown user",
    "Invalid recipient",
    "User <anna@example.com> not listed in public Name & Address Book",
    "delivery error: dd This user doesn't have a yahoo.com account (anna@yahoo.com) [0]",
    "Mailbox not found",
    "邮箱不存在",
]
DISABLED = ["5.2.1 The email account that you tried to reach is disabled.", "This account has been suspended"]
US = [
    "5.7.1 <anna@example.com>: Relay access denied",
    "relay not permitted",
    "Relaying denied. IP name lookup failed [203.0.113.7]",
    "5.7.1 Unable to relay",
    "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "Service unavailable; Client host [203.0.113.7] blocked using zen.spamhaus.org",
    "5.7.1 Our system has detected that your IP is on a black list",
    "Your IP 203.0.113.7 is listed in bl.example",
    "5.7.23 The message was rejected because of Sender Policy Framework violation",
    "SPF check failed",
    "5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy",
    "5.7.25 The IP address sending this message does not have a PTR record",
    "5.1.8 <shop@example.com>: Sender address rejected: Domain not found",
    "5.1.7 Invalid address",
    "Authentication is required for relay",
    "5.1.1 Recipient rejected: 203.0.113.7 is blacklisted",
    "Your account has been suspended",
]
LOGIN = ["5.7.8 Error: authentication failed", "5.7.9 Authentication mechanism is too weak", "5.7.11 Encryption required"]
UNCLEAR = [
    "Requested action not taken: mailbox unavailable",
    "5.7.1 Recipient not authorized by policy",
    "5.4.1 Recipient address rejected: Access denied",
    "5.1.0 Address rejected",
    "Administrative prohibition",
    "",
]
MESSAGE = ["5.7.1 Message contains a virus", "Looks like spam", "5.3.4 Message size exceeds fixed limit", "5.2.2 Mailbox quota exceeded"]
CASES = [
    *((text, Subject.RECIPIENT) for text in RECIPIENT),
    *((text, Subject.DISABLED) for text in DISABLED),
    *((text, Subject.US) for text in US),
    *((text, Subject.LOGIN) for text in LOGIN),
    *((text, Subject.UNCLEAR) for text in UNCLEAR),
    *((text, Subject.MESSAGE) for text in MESSAGE),
]


@pytest.mark.parametrize(("text", "subject"), CASES)
def test_a_refusal_is_understood_by_its_code_or_its_text(text: str, subject: Subject) -> None:
    assert subject_of(text) == subject


@pytest.mark.parametrize("text", US)
def test_a_refusal_about_us_never_concerns_the_recipient(text: str) -> None:
    for seen in (False, True):
        error = refusal(550, text, content_was_seen=seen)
        assert (error.hard_bounce, error.permanent, error.elsewhere, error.at_fault) == (False, False, True, True)


@pytest.mark.parametrize("text", UNCLEAR)
def test_an_unclear_refusal_is_tried_elsewhere_and_not_repeated_here(text: str) -> None:
    error = refusal(553, text, content_was_seen=False)
    assert (error.hard_bounce, error.permanent, error.elsewhere, error.at_fault) == (False, True, True, False)


@pytest.mark.parametrize("text", MESSAGE)
def test_a_refused_text_is_offered_to_no_other_provider(text: str) -> None:
    error = refusal(554, text, content_was_seen=True)
    assert (error.hard_bounce, error.permanent, error.elsewhere) == (False, True, False)


def test_a_server_that_refuses_the_recipient_only_after_the_text_is_understood_too() -> None:
    assert refusal(550, "5.1.1 no such user", content_was_seen=True).hard_bounce


def test_a_refusal_for_now_is_retried() -> None:
    error = refusal(450, "4.1.1 No such user, try later", content_was_seen=False)
    assert (error.hard_bounce, error.permanent, error.elsewhere) == (False, False, False)
