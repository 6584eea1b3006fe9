"""The file of a form (`multipart/form-data`), or a problem that names its field and says what to do."""

from typing import TYPE_CHECKING

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from posthaste.lib.problems import Invalid, TooLarge

if TYPE_CHECKING:
    from rest_framework.request import Request

FIELD = "file"
UNREADABLE = (ParseError, MultiPartParserError, TooManyFieldsSent, TooManyFilesSent, RequestDataTooBig)


def file_of(request: "HttpRequest | Request") -> "UploadedFile[bytes]":
    """Return the file in the field `file` of a request's form.

    Raises:
        Invalid: the body is no form, the form can't be read, or it has no such file.
    """
    try:
        sent, told = request.FILES.get(FIELD), request.POST.get(FIELD)
    except UnsupportedMediaType:
        sent, told = None, None
    except UNREADABLE:
        raise unreadable() from None
    if sent is None and told is not None:
        raise Invalid.field(FIELD, _("The field file is a text. Give it a file name, so that it is a file."), "not_a_file")
    if not isinstance(sent, UploadedFile):
        raise Invalid.field(FIELD, _("Send the file as multipart/form-data in the field file."), "required")
    return sent


def unreadable() -> Invalid:
    """Return the problem of a form that can't be read."""
    said = _("The form can't be read. Send multipart/form-data with a boundary, and in it only the file in the field file.")
    return Invalid.field(FIELD, said, "malformed")


def too_large(max_bytes: int) -> TooLarge:
    """Return the problem of a body that is longer than the largest file that is taken."""
    said = _("At most {n} MiB per file.").format(n=max_bytes >> 20)
    return TooLarge(said, errors=[{"field": FIELD, "code": "too_large", "message": said}])
