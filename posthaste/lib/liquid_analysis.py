"""What is known of a Liquid template's result before it is rendered."""

from liquid.builtin.content import ContentNode

from posthaste.lib.liquid import compile_template

#: Tags and filters whose result is at most six times as long as what goes in (`&` becomes `&#38;`, and JSON escapes).
_STEADY_TAGS = frozenset({"if", "unless", "case", "comment", "raw", "doc", "#"})
# fmt: off
_STEADY_FILTERS = frozenset({
    "abs", "capitalize", "ceil", "default", "downcase", "escape", "first", "floor", "json", "last", "lstrip",
    "remove", "remove_first", "round", "rstrip", "size", "slice", "strip", "strip_html", "strip_newlines",
    "truncate", "truncatewords", "upcase",
})
# fmt: on


def fixed_text(source: str, *, html: bool = False) -> str:
    """Return the text that each rendering contains, whatever the variables are.

    Raises:
        TemplateProblem: it cannot be parsed.
    """
    nodes = compile_template(source, html).template.nodes
    return "".join(node.text for node in nodes if isinstance(node, ContentNode))


def max_outputs(source: str, *, html: bool = False) -> int | None:
    """Return how many times a rendering writes a variable at most; None if it has loops or filters that make more of it.

    Raises:
        TemplateProblem: it cannot be parsed.
    """
    found = compile_template(source, html).template.analyze(include_partials=False)
    if set(found.tags) - _STEADY_TAGS or set(found.filters) - _STEADY_FILTERS:
        return None
    return sum(len(places) for places in found.variables.values())
