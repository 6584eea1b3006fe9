"""Builders of requests for the tests of channels."""

from typing import Any
from uuid import uuid4

from messaging.channels.base import SendRequest


def text_message(**fields: Any) -> SendRequest:
    """Make a request for a text, with whatever fields matter to the test."""
    return SendRequest(**{"id": uuid4(), "channel": "sms", "recipient": "+8613812345678", "body": "Your code is 1234", **fields})


def mail(**fields: Any) -> SendRequest:
    """Make a request for an e-mail."""
    return SendRequest(
        **{"id": uuid4(), "channel": "email", "recipient": "anna@example.com", "subject": "Hello", "body": "A text", **fields}
    )
