"""Check that free-form text is written in its format, in bounded time whatever the text is.

Parsers take time in proportion to the length of usual text, but some take its square for text that was made for it, or run out of stack.
The bounds here are far above what configuration needs.
"""

import re
import tomllib
from functools import lru_cache
from typing import Any
from xml.parsers import expat

import orjson
import rtoml
import yaml
from django.utils.translation import gettext as _

from configcenter.models import Format
from posthaste.lib.json_syntax import MAX_DEPTH, is_deep
from posthaste.lib.problems import Invalid

#: Of entities and attributes in an XML document: expat follows entities on the stack, and looks at all attributes for each element.
MAX_DECLARATIONS = 50
#: Of tags in a YAML document: libyaml compares each with all before.
MAX_TAG_DIRECTIVES = 100
_TOML_PLACE = re.compile(r"at line (\d+),? column (\d+)\)?\Z")  # as rtoml and tomllib end what they say
_UNICODE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})")
_TAG_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029])\ufeff?%TAG")  # YAML's line breaks


def check(kind: str, content: str, *, is_secret: bool = False) -> None:
    """Check a text of the format `kind`. With `is_secret`, an error tells its place in the text and quotes nothing.

    Raises:
        Invalid: it is not written in that format, or beyond the bounds.
    """
    try:
        parse(kind, content)
    except (ValueError, yaml.YAMLError, expat.ExpatError, RecursionError) as error:
        raise Invalid.field("content", _complaint(kind, content, error, is_secret=is_secret), "malformed") from None


@lru_cache(maxsize=8)
def parse(kind: str, content: str) -> None:
    """Parse a text of the format `kind`.

    The last few texts that were right are remembered, so that a caller can do the work before it takes a lock.

    Raises:
        ValueError, yaml.YAMLError, expat.ExpatError, RecursionError: it is not written in that format, or beyond the bounds.
    """
    match kind:
        case Format.JSON:
            if is_deep(orjson.loads(content)):
                raise ValueError(_("nested deeper than {n} levels").format(n=MAX_DEPTH))
        case Format.YAML:
            _check_yaml(content)
        case Format.TOML:
            _check_toml(content)
        case Format.XML:
            _check_xml(content)
        case Format.PROPERTIES if _UNICODE_ESCAPE.search(content):
            raise ValueError(_("\\u needs four hexadecimal digits"))


def _complaint(kind: str, content: str, error: Exception, *, is_secret: bool) -> str:
    """Say what a parser found. Parsers quote the text, so of a secret one only the place is told."""
    format = Format(kind).label
    if not is_secret:
        return _("Not valid {format}: {error}").format(format=format, error=" ".join(str(error).split())[:300])
    found = _place(kind, content, error)
    if found is None:
        return _("Not valid {format}.").format(format=format)
    return _("Not valid {format}: line {line}, column {column}.").format(format=format, line=found[0], column=found[1])


def _place(kind: str, content: str, error: Exception) -> tuple[int, int] | None:
    """Return the line and column at which a parser stopped, both from 1, None where it does not tell."""
    match error:
        case orjson.JSONDecodeError():
            return error.lineno, error.colno
        case yaml.MarkedYAMLError() if error.problem_mark is not None:
            return error.problem_mark.line + 1, error.problem_mark.column + 1
        case expat.ExpatError():
            return error.lineno, error.offset + 1
    if kind == Format.TOML and (told := _TOML_PLACE.search(str(error))):
        return int(told[1]), int(told[2])
    if kind == Format.PROPERTIES and (escape := _UNICODE_ESCAPE.search(content)):
        return content.count("\n", 0, escape.end()) + 1, escape.end() - content.rfind("\n", 0, escape.end()) - 2
    return None


def _check_yaml(content: str) -> None:
    if len(_TAG_DIRECTIVE.findall(content)) > MAX_TAG_DIRECTIVES:
        raise ValueError(_("more than {n} %TAG directives").format(n=MAX_TAG_DIRECTIVES))
    for _event in yaml.parse(content, Loader=yaml.CSafeLoader):  # the grammar only: tags mean something to their reader
        pass


def _check_toml(content: str) -> None:
    try:
        rtoml.loads(content)  # first: tomllib takes the square of the parts of a dotted key, rtoml bounds them in linear time
    except rtoml.TomlParsingError as error:
        raise ValueError(_("nested too deeply") if "recur" in str(error) else str(error)) from None
    tomllib.loads(content)  # rtoml also takes TOML 1.1, which few programs read


def _check_xml(content: str) -> None:
    declared = 0

    def count(*_args: Any) -> None:
        nonlocal declared
        declared += 1
        if declared > MAX_DECLARATIONS:
            raise ValueError(_("more than {n} declarations of entities and attributes").format(n=MAX_DECLARATIONS))

    parser = expat.ParserCreate()  # keeps its own bounds on how far entities expand
    parser.EntityDeclHandler = parser.AttlistDeclHandler = count
    parser.Parse(content, True)
