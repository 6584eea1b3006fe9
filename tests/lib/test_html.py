"""HTML of strangers in e-mails: what acts goes, what only looks stays."""

import pytest

from posthaste.lib.html import sanitise


def test_the_inline_styles_that_mail_needs_stay() -> None:
    assert sanitise('<p style="color:red;padding:4px">Hello</p>') == '<p style="color:red;padding:4px">Hello</p>'
    assert 'width="600"' in sanitise('<table width="600"><tbody><tr><td>x</td></tr></tbody></table>')


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<img src="x" onerror="alert(1)">',
        '<a href="javascript:alert(1)">x</a>',
        '<iframe src="https://evil.example"></iframe>',
        '<form action="https://evil.example"><input name="password"></form>',
        '<p style="position:fixed;top:0">over everything</p>',
        '<p style="background-image:url(https://evil.example/pixel)">x</p>',
        "<style>body{display:none}</style>",
        "<svg><script>alert(1)</script></svg>",
        '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    ],
)
def test_what_could_act_or_deceive_is_taken_out(hostile: str) -> None:
    clean = sanitise(f"<p>before</p>{hostile}<p>after</p>").lower()
    assert "before" in clean
    assert "after" in clean
    for sign in ("script", "onerror", "iframe", "<form", "<input", "position", "url(", "<style", "<svg", "<meta", "javascript"):
        assert sign not in clean
