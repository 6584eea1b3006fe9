"""What a visitor's socket may send: typed frames, told apart by their `type`."""

from uuid import UUID

import msgspec
from django.utils.translation import gettext as _

from messaging.intake.bodies import problem_of
from posthaste.lib.problems import Invalid

MAX_FRAME = 65_536


class Hello(msgspec.Struct, tag="hello"):
    """The first frame: the session's token, and the last line that has arrived."""

    token: str
    conversation: UUID | None = None
    after: int = 0


class LineIn(msgspec.Struct, tag="line"):
    """A line; under a client id that was used before nothing is stored."""

    client_id: str
    text: str = ""
    files: list[UUID] = []


class TypingIn(msgspec.Struct, tag="typing"):
    """The visitor writes."""


class ReadIn(msgspec.Struct, tag="read"):
    """The visitor has read the current conversation up to this line."""

    seq: int


Frame = Hello | LineIn | TypingIn | ReadIn
_decoder: "msgspec.json.Decoder[Frame]" = msgspec.json.Decoder(Frame)


def read_frame(raw: str | bytes) -> Frame:
    """Return a frame.

    Raises:
        Invalid: naming what is wrong.
    """
    if len(raw) > MAX_FRAME:
        raise Invalid.field("", _("At most {n} bytes of JSON.").format(n=MAX_FRAME), "too_long")
    try:
        frame: Frame = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Invalid(errors=[problem_of(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        raise Invalid.field("", _("The frame is not valid JSON."), "malformed") from None
    return frame
