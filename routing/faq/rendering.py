"""The answer of an entry, which is Markdown, as a page or a chat shows it."""

import re

import markdown
import nh3

TAGS = {
    "p",
    "br",
    "strong",
    "em",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "a",
    "blockquote",
    "h3",
    "h4",
    "hr",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
MAX_BRACKETS = 500
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\((\S{1,1000}?)\)")
_MARKS = re.compile(r"(\*\*|__)(?=\S)(.{1,1000}?)(?<=\S)\1")
_HEADING = re.compile(r"^#{1,6}\s+", re.MULTILINE)


def bounded(answer: str) -> str:
    """Return an answer without links if it has brackets as no answer has: the end of each is looked for in all of the rest."""
    return answer if answer.count("[") <= MAX_BRACKETS else answer.replace("[", "&#91;")


def html_of(answer: str) -> str:
    """Return an answer as harmless HTML: no scripts, styles, images or classes."""
    made = markdown.markdown(bounded(answer), extensions=["tables", "sane_lists"], output_format="html")
    return nh3.clean(
        made, tags=TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https", "mailto", "tel"}, link_rel="noopener noreferrer"
    )


def text_of(answer: str) -> str:
    """Return an answer for a channel that shows no markup: links with their address behind, without marks of emphasis."""
    plain = _LINK.sub(lambda found: found[2] if found[1] == found[2] else f"{found[1]} ({found[2]})", answer)
    return _HEADING.sub("", _MARKS.sub(r"\2", plain)).strip()
