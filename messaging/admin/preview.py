"""Documents that hold what strangers wrote: shown in a frame, able to do nothing."""

from django.http import HttpResponse

#: No script, no request to anywhere, no form, no way out of the frame; pictures only where they are part of the document.
POLICY = {
    "default-src": ["'none'"],
    "img-src": ["data:"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'self'"],
    "sandbox": True,
}


def html_document(html: str) -> HttpResponse:
    """Wrap sanitised HTML in a document with its own content security policy."""
    response = HttpResponse(
        f'<!doctype html><html lang="und"><head><meta charset="utf-8"><title>HTML</title></head><body>{html}</body></html>'
    )
    response._csp_config = POLICY  # type: ignore[attr-defined]  # what django-csp's decorator sets
    response.xframe_options_exempt = True  # frame-ancestors says it more exactly
    response["Cache-Control"] = "no-store"
    return response
