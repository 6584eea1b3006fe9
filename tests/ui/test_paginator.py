"""Cursor pages of a list, in any order."""

import pytest
from django.test import RequestFactory

from accounts.models import Tenant
from posthaste.ui.paginator import page_of
from tests.builders import make_tenant

pytestmark = pytest.mark.django_db


def page(address: str, **order: object) -> tuple[list[str], str, str]:
    rows, before, after = page_of(Tenant.objects.all(), RequestFactory().get(f"/{address}"), size=2, **order)  # type: ignore[arg-type]
    return [row.name for row in rows], before, after


@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_lead_forth_and_back_over_rows_that_share_a_value(is_descending: bool) -> None:
    for name in "abcde":
        make_tenant(name, weight=1 if name < "d" else 2)
    order = {"order": ("weight", "name", "pk"), "is_descending": is_descending}
    letters = "edcba" if is_descending else "abcde"
    seen, address = [], ""
    while True:
        names, before, after = page(address, **order)
        seen.append((names, before))
        if not after:
            break
        address = after
    assert [names for names, _before in seen] == [list(letters[:2]), list(letters[2:4]), [letters[4]]]
    assert seen[0][1] == ""
    assert page(seen[2][1], **order)[0] == list(letters[2:4])
    assert page(seen[1][1], **order)[0] == list(letters[:2])


def test_the_address_of_the_next_page_keeps_the_filter() -> None:
    for name in "abc":
        make_tenant(name)
    after = page("?q=shop&before=x", order=("name", "pk"))[2]
    assert "q=shop" in after
    assert "before" not in after


def test_a_cursor_that_no_row_has_begins_at_the_first_page() -> None:
    make_tenant("a")
    assert page("?after=999999", order=("name", "pk"))[0] == ["a"]
    assert page("?before=x", order=("name", "pk"))[0] == ["a"]
