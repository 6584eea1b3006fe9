"""A hook: what a lower part sets off in higher ones, which it does not know.

    on_moved: Hook[Sequence[UUID], datetime] = Hook()

    @on_moved
    def free_the_place(ids: Sequence[UUID], now: datetime) -> None: ...

    on_moved.tell(ids, now)

Functions register when their module is imported, and are called in the caller's transaction, in the order in which they registered.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Hook(Generic[*Ts]):
    """The functions that are called when something happens. Usable as a decorator, which adds one."""

    def __init__(self) -> None:
        self.reactions: list[Callable[[*Ts], object]] = []

    def __call__(self, react: Callable[[*Ts], R]) -> Callable[[*Ts], R]:
        self.reactions.append(react)
        return react

    def tell(self, *happened: *Ts) -> None:
        """Call what is registered."""
        for react in self.reactions:
            react(*happened)
