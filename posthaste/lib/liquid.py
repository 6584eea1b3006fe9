"""Liquid templates that strangers may write: no code, no files, bounded time and memory.

python-liquid bounds nesting, loops (the product of nested lengths), output and local names. What it leaves open is
closed here: loops one after another, single filters that blow a value up (`replace`, `join`, ranges of a billion),
sources on which its lexer takes minutes, and time, for which it has no limit at all: each look-up, filter, assignment
and loop checks the CPU time the rendering thread has used, and so does each call within a filter. CPU time and not wall
time, because a busy worker with a hundred threads renders slowly through no fault of the template.
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _
from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.filters.array import join, uniq
from liquid.builtin.filters.string import replace
from liquid.exceptions import FilterArgumentError, LiquidError, LiquidValueError, ResourceLimitError
from liquid.filter import liquid_filter, with_environment
from liquid.undefined import FalsyStrictUndefined, is_undefined

from posthaste.lib.liquid_outputs import PercentEncodedOutput

MAX_SOURCE = 100_000
MAX_TAG = 2_000
MAX_BRACKETS = 20
MAX_ITEMS = 10_000
MAX_UNIQUE_ITEMS = 1_000  # python-liquid compares each pair
MAX_INTEGER_BITS = 1_024
MAX_ITERATIONS = 50_000
#: Iterations times characters of source: what a loop does without look-ups (`{% if true and true … %}`) passes no check.
MAX_WORK = 20_000_000
MAX_CPU_SECONDS = 0.4


class TemplateProblem(Exception):
    """The template cannot be compiled or rendered; `line` counts from 1, if known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(_("Line {line}: {message}").format(line=line, message=message) if line else message)
        self.message = message
        self.line = line


class Missing(FalsyStrictUndefined):
    """An undefined variable: may be tested (`{% if x %}`) and given a `default`, raises when it is used."""

    force_liquid_default = True


class BoundedContext(RenderContext):
    """A render context that watches time, loops in sequence and the size of every value a filter makes."""

    __slots__ = ("iterations", "stop_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.iterations = 0
        self.stop_at = time.thread_time() + MAX_CPU_SECONDS

    def check_time(self) -> None:
        if time.thread_time() > self.stop_at:
            raise ResourceLimitError("the template takes too long", token=None)

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Check the time also within a filter, at each call that it makes: `date` alone can take seconds."""
        before = sys.getprofile()

        def check(_frame: Any, _event: str, _argument: Any) -> None:
            self.check_time()

        sys.setprofile(check)
        try:
            yield
        finally:
            sys.setprofile(before)

    def get(self, *args: Any, **kwargs: Any) -> object:
        self.check_time()
        return super().get(*args, **kwargs)

    def assign(self, key: str, val: Any) -> None:
        self.check_time()
        super().assign(key, val)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.check_time()
        self.iterations += length
        if self.iterations > MAX_ITERATIONS or self.iterations * self.template.length > MAX_WORK:  # type: ignore[attr-defined]
            raise ResourceLimitError("the template loops too often", token=None)
        super().raise_for_loop_limit(length)

    def filter(self, name: str, token: Any) -> Any:
        self.check_time()
        function = super().filter(name, token)
        limit = self.env.output_stream_limit or 0

        def bounded(*args: Any, **kwargs: Any) -> object:
            if any(isinstance(value, str) and len(value) > limit for value in args):
                raise ResourceLimitError(f"{name}: the value is too large", token=token)
            with self.interrupted():
                result = function(*args, **kwargs)
            if (
                (isinstance(result, str) and len(result) > limit)
                or (isinstance(result, list | tuple | range) and len(result) > MAX_ITEMS)
                or (isinstance(result, int) and result.bit_length() > MAX_INTEGER_BITS)
            ):
                raise ResourceLimitError(f"{name}: the result is too large", token=token)
            return result

        return bounded


class BoundedTemplate(BoundTemplate):
    context_class = BoundedContext
    length = 0  # of the source


class BoundedEnvironment(Environment):
    """For the texts of messages."""

    template_class = BoundedTemplate
    block_nesting_limit = 20
    context_depth_limit = 25
    loop_iteration_limit = MAX_ITEMS
    local_namespace_limit = 1_000_000
    output_stream_limit = 256_000

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in ("include", "render", "tablerow", "liquid"):
            del self.tags[name]
        # `safe` would let a template switch the escaping of its variables off.
        del self.filters["safe"]
        self.add_filter("json", to_json)
        self.add_filter("replace", bounded_replace)
        self.add_filter("join", bounded_join)
        self.add_filter("uniq", bounded_uniq)


class RoomyEnvironment(BoundedEnvironment):
    """For the bodies of bulk requests to a gateway, which hold many messages."""

    local_namespace_limit = 16_000_000
    output_stream_limit = 16_000_000


class PercentEncodingEnvironment(BoundedEnvironment):
    """For URLs and forms: whatever a variable holds, it adds no parameter and no path."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(PercentEncodedOutput)
        for name in ("capture", "cycle", "echo"):  # they write by other ways, or would encode twice
            del self.tags[name]


@liquid_filter
def to_json(value: object) -> str:
    """Return the value as JSON, quotes included: `{"text": {{ body | json }}}`."""
    if is_undefined(value):
        str(value)  # raises with the variable's name
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError) as error:
        raise FilterArgumentError("json: the value cannot be written as JSON", token=None) from error


@with_environment
@liquid_filter
def bounded_replace(value: object, seq: object, sub: object = "", *, environment: Environment) -> object:
    text, old, new = ("" if value is None else str(value)), str(seq), str(sub)
    if len(new) > len(old) and len(text) + (text.count(old)) * (len(new) - len(old)) > (environment.output_stream_limit or 0):
        raise ResourceLimitError("replace: the result is too large", token=None)
    return replace(value, seq, sub)


@with_environment
@liquid_filter
def bounded_join(value: Any, separator: object = " ", *, environment: Environment) -> object:
    if isinstance(value, list | tuple | range) and len(value) * len(str(separator)) > (environment.output_stream_limit or 0):
        raise ResourceLimitError("join: the result is too large", token=None)
    return join(value, separator, environment=environment)


@liquid_filter
def bounded_uniq(value: Any, key: object = None) -> object:
    if isinstance(value, list | tuple | range) and len(value) > MAX_UNIQUE_ITEMS:
        raise ResourceLimitError("uniq: the list is too long", token=None)
    return uniq(value, key)


_make_range = RangeLiteral._make_range


def _bounded_range(self: RangeLiteral, start: Any, stop: Any) -> range:
    made = _make_range(self, start, stop)
    # Not len(): a range of more than 2**63 has none.
    if made.stop - made.start > MAX_ITEMS:
        raise LiquidValueError(f"a range holds at most {MAX_ITEMS} numbers", token=self.token)
    return made


# The library offers no hook for this: filters, `reversed` and `contains` walk a range before any of its limits apply.
RangeLiteral._make_range = _bounded_range  # type: ignore[method-assign]

_TEXT = BoundedEnvironment(undefined=Missing)
_HTML = BoundedEnvironment(undefined=Missing, autoescape=True)
_ROOMY = RoomyEnvironment(undefined=Missing)
_PERCENT = PercentEncodingEnvironment(undefined=Missing)


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A parsed template; may be rendered by many threads at once."""

    source: str
    html: bool
    template: BoundTemplate


_OPENING = re.compile(r"\{\{|\{%")
_TAG_NAME = re.compile(r"\{%-?\s*(#|\w+)")
_VERBATIM = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
_BLANKS = re.compile(r"\s{100}")


def _check_source(source: str) -> None:
    """Refuse sources that would keep the library's lexer busy.

    The lexer is a regular expression that runs to the end of the text for each opening without a closing, and for each bracket to the
    end of its tag: quadratic, minutes for 80 kB of `{{`. This check is linear, and passes only what the lexer reads in one go.
    """
    position = 0
    while opening := _OPENING.search(source, position):
        start = opening.start()
        verbatim = _VERBATIM.match(source, start)
        if verbatim:
            closing = re.compile(r"\{%-?\s*end" + verbatim[1] + r"\s*-?%\}").search(source, verbatim.end())
            position = closing.end() if closing else 0
        else:
            ending = "}}" if opening[0] == "{{" else "%}"
            position = source.find(ending, start + 2) + 2
            tag = source[start:position]
            if position < 2:
                position = 0
            elif len(tag) > MAX_TAG or tag.count("(") > MAX_BRACKETS or tag.count("[") > MAX_BRACKETS or _BLANKS.search(tag):
                raise TemplateProblem(_("this tag is too long"), source.count("\n", 0, start) + 1)
            elif opening[0] == "{%" and not _TAG_NAME.match(tag):
                raise TemplateProblem(_("this tag has no name"), source.count("\n", 0, start) + 1)
        if not position:
            raise TemplateProblem(_("“{tag}” is not closed").format(tag=opening[0]), source.count("\n", 0, start) + 1)


def _problem(error: LiquidError) -> TemplateProblem:
    try:
        context = error.context()
    except ValueError:
        context = None
    return TemplateProblem(str(error.message), context[0] if context else None)


@lru_cache(maxsize=512)
def compile_template(source: str, html: bool = False, roomy: bool = False, percent: bool = False) -> CompiledTemplate:
    """Parse a template; with `html` the values of variables are escaped, with `percent` they are percent-encoded.

    `roomy` is for the bulk bodies of gateways, written by administrators.

    Raises:
        TemplateProblem: with the line, where known.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateProblem(_("A template has at most {n} characters.").format(n=MAX_SOURCE))
    _check_source(source)
    environment = _HTML if html else _ROOMY if roomy else _PERCENT if percent else _TEXT
    try:
        template = environment.from_string(source)
        template.length = len(source)  # type: ignore[attr-defined]
        for name, places in template.analyze(include_partials=False).filters.items():
            if name not in environment.filters:  # the library would say so only when the filter is reached
                raise TemplateProblem(_("there is no filter “{name}”").format(name=name), source.count("\n", 0, places[0].index) + 1)
        return CompiledTemplate(source, html, template)
    except LiquidError as error:
        problem = _problem(error)
        # A block without an end is noticed at the end of the text.
        raise (problem if problem.line else TemplateProblem(problem.message, source.count("\n") + 1)) from None
    except RecursionError:
        raise TemplateProblem(_("The template is nested too deeply.")) from None
    except (ValueError, ArithmeticError) as error:
        raise TemplateProblem(str(error)) from None


def render(template: CompiledTemplate, variables: Mapping[str, Any]) -> str:
    """Fill a template in.

    Raises:
        TemplateProblem: a variable is missing, a filter got a wrong value, or a limit was reached.
    """
    try:
        # str(): with autoescape the result would be Markup, which escapes what is later joined to it.
        return str(template.template.render(variables))
    except LiquidError as error:
        raise _problem(error) from None
    except RecursionError:
        raise TemplateProblem(_("The template is nested too deeply.")) from None
    except (ValueError, ArithmeticError, TypeError, LookupError, MemoryError) as error:
        # Corners of the library that let Python's own errors through: round of infinity, sorting mixed types …
        raise TemplateProblem(_("The template fails: {error}").format(error=f"{type(error).__name__}: {error}")) from None


def variables_used(source: str) -> set[str]:
    """Name the variables a template expects to be given.

    Raises:
        TemplateProblem: it cannot be parsed.
    """
    return set(compile_template(source).template.analyze(include_partials=False).globals)
