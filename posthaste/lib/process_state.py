"""What a process remembers between calls, and the one way to make it forget.

Caches, counters and notes of outages are kept for speed. Each registers how it is emptied, beside its definition:

    provider_cache = ProviderCache()
    on_reset(provider_cache.forget)

`reset` empties all of them. Tests call it before and after each test. It is safe in a running process too: everything is read again.
"""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[[], object])

_resets: list[Callable[[], object]] = []


def on_reset(function: F) -> F:
    """Register how something is emptied. Usable as a decorator."""
    _resets.append(function)
    return function


def reset() -> None:
    """Empty everything that was registered."""
    for function in _resets:
        function()
