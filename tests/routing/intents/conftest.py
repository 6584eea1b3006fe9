"""What tests of intents share."""

from itertools import islice

import pytest

from routing.intents import starting_rows


@pytest.fixture
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the starting set, so that storing it takes no second."""
    few = list(islice(starting_rows.examples(), 20))
    monkeypatch.setattr(starting_rows, "examples", lambda: iter(few))
