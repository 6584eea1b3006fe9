"""Threads that send, and how much may wait."""

from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, setting


class ThreadPools(Module):
    """The elastic pool of each worker process."""

    min_threads: int = setting(
        10, _("Minimum threads"), _("Per worker process: two processes have twice as many."), unit="threads", ge=1, le=1000
    )
    max_threads: int = setting(
        100, _("Maximum threads"), _("Per worker process. Provider caps may keep the pool below this."), unit="threads", ge=1, le=1000
    )
    grow_by: int = setting(10, _("Grow by"), _("Threads added in one step."), unit="threads", ge=1, le=1000)
    shrink_by: int = setting(5, _("Shrink by"), _("Threads removed in one step."), unit="threads", ge=1, le=1000)
    grow_above_percent: int = setting(80, _("Grow above"), _("The pool grows when queue usage exceeds this."), unit="%", ge=1, le=100)
    shrink_below_percent: int = setting(
        20, _("Shrink below"), _("The pool shrinks when queue usage falls below this."), unit="%", ge=0, le=99
    )
    grow_above_drain_seconds: float = setting(
        10.0,
        _("Grow above drain time"),
        _("Also grow when sending everything that waits would take longer than this at the current rate. 0: ignored."),
        unit="s",
        ge=0,
        le=86_400,
    )
    grow_above_age_seconds: float = setting(
        10.0,
        _("Grow above age"),
        _("Also grow when the oldest waiting message has been due for longer than this. 0: ignored."),
        unit="s",
        ge=0,
        le=86_400,
    )
    cooldown_seconds: float = setting(2.0, _("Cool-down"), _("Time between two steps."), unit="s", ge=0.1, le=3600)

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.min_threads > self.max_threads:
            raise hot.Wrong("min_threads", _("Must not exceed the maximum threads."))
        if self.shrink_below_percent >= self.grow_above_percent:
            raise hot.Wrong("shrink_below_percent", _("Must be below the grow threshold."))
        return self


class Queues(Module):
    """How much may stand in the broker, and how much may wait behind it."""

    queue_capacity: int = setting(
        10_000,
        _("Queue capacity"),
        _("Maximum messages in the broker; the rest wait in the database. Usage is measured against it."),
        unit=_("messages"),
        ge=100,
        le=1_000_000,
    )
    max_backlog: int = setting(
        2_000_000,
        _("Maximum backlog"),
        _("When more due messages than this are waiting, new ones below priority 9 are refused with 429."),
        unit=_("messages"),
        ge=1_000,
        le=1_000_000_000,
    )
    hold_seconds: float = setting(
        0.6,
        _("Kept in the broker"),
        _("The broker holds as many messages as leave it in this time. More delays urgent messages; less may leave workers idle."),
        unit="s",
        ge=0.1,
        le=30,
    )
    orphan_seconds: float = setting(
        60.0, _("Considered lost after"), _("A message that stays in the broker this long is queued again."), unit="s", ge=1, le=3600
    )


thread_pools = hot.register(
    ThreadPools,
    name="thread_pools",
    title=_("Thread pools"),
    purpose=_("How many threads send, and when the pool grows or shrinks. Workers follow within a second."),
    order=1,
)
queues = hot.register(
    Queues,
    name="queues",
    title=_("Queues"),
    purpose=_("How many messages the broker holds, and how many may wait before callers are asked to slow down."),
    order=2,
)
