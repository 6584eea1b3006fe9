"""In which order conversations leave the queue: the longest wait first, each step of priority counting as some more of it."""

from typing import Any

from django.db.models import F, FloatField, Func, Value

from routing.configuration.assignment_rules import Assignment


class Turn(Func):
    """The time since when a conversation counts as waiting, in seconds: when it was queued, less its priority times a weight."""

    output_field = FloatField()

    def as_sql(
        self,
        compiler: Any,
        connection: Any,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,
    ) -> tuple[str, tuple[Any, ...]]:
        queued, priority, seconds = (compiler.compile(each) for each in self.source_expressions)
        start = "(julianday({}) - 2440587.5) * 86400.0" if connection.vendor == "sqlite" else "EXTRACT(EPOCH FROM {})::double precision"
        sql = f"({start.format(queued[0])} - {priority[0]} * {seconds[0]})"
        return sql, (*queued[1], *priority[1], *seconds[1])


def turn(settings: Assignment) -> Turn:
    """Return the expression that sorts a tenant's queue; the smallest is next."""
    return Turn(F("queued_at"), F("priority"), Value(float(settings.priority_minutes * 60), output_field=FloatField()))


def turn_of(*, queued_at_seconds: float, priority: int, settings: Assignment) -> float:
    """Return the same for one conversation."""
    return queued_at_seconds - priority * float(settings.priority_minutes * 60)
