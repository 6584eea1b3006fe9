"""Cron expressions of five fields."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError


def check_cron(expression: str) -> None:
    """Check a cron expression.

    Raises:
        ValueError: it is wrong, or never comes round; the message says what is.
    """
    if len(expression.split()) != 5:
        raise ValueError("five fields are needed")
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(str(error)) from error
    except (StopIteration, RuntimeError) as error:
        raise ValueError("it never comes round") from error
