"""How files leave: only ever as downloads, so that no browser shows or runs what a stranger sent."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from routing.conversations.attachments import served_type
from routing.models import Attachment


def file_response(file: Attachment, *, content_type: str = "") -> HttpResponse:
    """Return a file as a download, by default with its own type if that is harmless."""
    response = HttpResponse(bytes(file.content), content_type=content_type or served_type(file.content_type))
    response["Content-Disposition"] = content_disposition_header(True, file.name) or "attachment"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-store"
    return response
