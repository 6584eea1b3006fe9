"""HTML that strangers wrote, made fit for an e-mail: no scripts, no forms, no frames; the inline styles that mail needs stay."""

import nh3

_PRESENTATION = frozenset(
    {"style", "align", "valign", "bgcolor", "width", "height", "cellpadding", "cellspacing", "border", "dir", "lang", "title"}
)
_ATTRIBUTES = {tag: set(nh3.ALLOWED_ATTRIBUTES.get(tag, ())) | _PRESENTATION for tag in nh3.ALLOWED_TAGS}
#: Text, boxes and tables. Nothing that positions over other content or loads something (url() is refused with its property).
_STYLES = {
    *("color", "background-color", "font", "font-family", "font-size", "font-style", "font-weight", "letter-spacing", "line-height"),
    *("text-align", "text-decoration", "text-transform", "vertical-align", "white-space", "word-break", "direction"),
    *("margin", "margin-top", "margin-right", "margin-bottom", "margin-left"),
    *("padding", "padding-top", "padding-right", "padding-bottom", "padding-left"),
    *(
        "border",
        "border-top",
        "border-right",
        "border-bottom",
        "border-left",
        "border-color",
        "border-radius",
        "border-style",
        "border-width",
    ),
    *("border-collapse", "border-spacing", "width", "max-width", "min-width", "height", "max-height", "display", "list-style-type"),
}


def sanitise(html: str) -> str:
    """Take out of HTML whatever could act on its own or deceive the reader's mail program."""
    return nh3.clean(html, attributes=_ATTRIBUTES, filter_style_properties=_STYLES, url_schemes={"http", "https", "mailto", "tel", "cid"})


def as_text(html: str) -> str:
    """Return what a reader sees of HTML, as plain text.

    Raises:
        ValueError, LookupError, RecursionError: it can't be read.
    """
    from inscriptis import get_text  # brings lxml and requests along, which few processes need

    return str(get_text(html)).strip()
