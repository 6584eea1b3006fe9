"""The system check of the export of traces."""

import pytest
from django.core import checks

from posthaste import env
from tracing import checks as tracing_checks
from tracing.checks import check_export


def ids() -> list[str]:
    return [str(message.id) for message in checks.run_checks() if str(message.id).startswith("tracing.")]


def test_it_says_which_packages_to_install_where_traces_are_to_be_exported_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "otlp_endpoint", "http://collector:4318/v1/traces")
    monkeypatch.setattr(tracing_checks, "PACKAGE", "opentelemetry_that_is_not_there.exporter")
    (found,) = check_export(None)
    assert found.id == "tracing.W001"
    assert "pip install -r requirements-otel.txt" in str(found.hint)
    assert ids() == ["tracing.W001"]


def test_it_has_nothing_to_say_where_they_are_installed_or_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "otlp_endpoint", "http://collector:4318/v1/traces")
    assert ids() == []
    monkeypatch.setattr(env.load(), "otlp_endpoint", "")
    monkeypatch.setattr(tracing_checks, "PACKAGE", "opentelemetry_that_is_not_there.exporter")
    assert ids() == []
