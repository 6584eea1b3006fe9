"""A page's form as a browser would send it: what stands in its inputs, in their order."""

from html.parser import HTMLParser
from typing import Any


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__(convert_charrefs=True)
        self.form_id = form_id
        self.pairs: list[tuple[str, str]] = []
        self._inside = False
        self._templates = 0
        self._select = self._textarea = ""
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = {name: value if value is not None else "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("id") == self.form_id
        elif tag == "template":
            self._templates += 1
        elif not self._inside or self._templates or "disabled" in given:
            return
        elif tag == "input":
            is_box = given.get("type") in ("checkbox", "radio")
            if given.get("name") and (not is_box or "checked" in given):
                self.pairs.append((given["name"], given.get("value", "on" if is_box else "")))
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select and "selected" in given:
            self.pairs.append((self._select, given.get("value", "")))
        elif tag == "textarea":
            self._textarea, self._text = given.get("name", ""), ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "template":
            self._templates -= 1
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._textarea:
            self.pairs.append((self._textarea, self._text.removeprefix("\n")))
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text += data


def posted(html: str, form_id: str = "module-form") -> dict[str, Any]:
    """Return what the form would send, for Django's test client; names that come twice as lists."""
    form = _Form(form_id)
    form.feed(html)
    found: dict[str, Any] = {}
    for name, value in form.pairs:
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    found.pop("csrfmiddlewaretoken", None)
    return found
