"""What every test shares. The servers come from the environment, which tests/run.py fills (`make test`)."""

from posthaste import env


def pytest_report_header() -> str:
    """This function will say in the first lines which stack is tested."""
    settings = env.load()
    return f"stack: {'PostgreSQL' if settings.is_postgresql else 'SQLite'}, {'RabbitMQ' if settings.is_rabbitmq else 'Valkey'}"
