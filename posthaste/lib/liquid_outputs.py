"""How Liquid writes a variable into a URL or form."""

from typing import TextIO
from urllib.parse import quote

from liquid import RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.stringify import to_liquid_string


class PercentEncodedNode(OutputNode):
    """An output whose value is percent-encoded, unless its last filter has done that."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value so that it stays one part of a URL or form."""
        text = to_liquid_string(self.expression.evaluate(context), False)
        filters = getattr(self.expression, "filters", None) or []
        encoded = bool(filters) and filters[-1].name == "url_encode"
        return buffer.write(text if encoded else quote(text, safe=""))


class PercentEncodedOutput(Output):
    """`{{ … }}` in a URL or form."""

    node_class = PercentEncodedNode
