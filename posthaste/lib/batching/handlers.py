"""Handlers: what is done with a batch, all its items in one call or one after the other."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from posthaste.lib.batching.tickets import Ticket, TimedOut

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Handler = Callable[[Sequence[Ticket[Item, Outcome]]], None]
Write = Callable[[Sequence[Item]], Sequence[Outcome | BaseException]]
Publish = Callable[[Outcome | BaseException], None]


def outcomes_of(
    write: Write[Item, Outcome], items: Sequence[Item], splits_on: tuple[type[Exception], ...] = ()
) -> list[Outcome | BaseException]:
    try:
        return [outcome for _item, outcome in zip(items, write(items), strict=True)]
    except Exception as error:  # noqa: BLE001 - it is the outcome
        if len(items) > 1 and isinstance(error, splits_on):
            return [outcomes_of(write, [item], splits_on)[0] for item in items]
        return [error] * len(items)


def together(write: Write[Item, Outcome], *, splits_on: tuple[type[Exception], ...] = ()) -> Handler[Item, Outcome]:
    """Make a handler that passes all items of a batch to one call.

    `write` takes the items in order and returns one outcome or exception for each. If it raises one of `splits_on` for several items,
    each is written alone, so that one bad item fails alone. Any other error is the outcome of all: after a lost connection it is not
    known whether the commit went through.
    """

    def handle(batch: Sequence[Ticket[Item, Outcome]]) -> None:
        outcomes: Sequence[Outcome | BaseException] = [TimedOut()] * len(batch)
        try:
            outcomes = outcomes_of(write, [ticket.item for ticket in batch], splits_on)
        finally:
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.publish(outcome)

    return handle


def one_by_one(work: Callable[[Item, Publish[Outcome]], None], *, after: Callable[[], None] | None = None) -> Handler[Item, Outcome]:
    """Make a handler that works through a batch.

    `work(item, publish)` may call `publish` at once, or leave that to another thread. `after` is called at the end of each batch.
    """

    def handle(batch: Sequence[Ticket[Item, Outcome]]) -> None:
        for ticket in batch:
            try:
                work(ticket.item, ticket.publish)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                ticket.publish(error)
        if after is not None:
            after()

    return handle
