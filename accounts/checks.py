"""System checks: every model of this project says whose its rows are."""

import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from accounts.models import Tenant

PACKAGES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib"))
HINT = 'Set tenant_lookup to the lookup of the tenant\'s id, such as "tenant_id", or to None if the rows belong to the installation.'


def check_tenant_lookups(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report the models of this project that do not say whose their rows are, or say it wrongly.

    What was installed from packages is left out: its rows are shown to superusers only.
    """
    configs = apps.get_app_configs() if app_configs is None else app_configs
    return [found for config in configs if not _is_installed(config) for model in config.get_models() for found in check_model(model)]


def _is_installed(config: AppConfig) -> bool:
    return any(Path(config.path).resolve().is_relative_to(place) for place in PACKAGES)


def check_model(model: type[models.Model]) -> Iterator[CheckMessage]:
    """Yield what is wrong with the `tenant_lookup` of one model."""
    if not hasattr(model, "tenant_lookup"):
        yield Error(f"{model._meta.label} does not say which tenant its rows belong to.", hint=HINT, obj=model, id="accounts.E001")
        return
    lookup = model.tenant_lookup
    if lookup is None:
        own = [field.name for field in model._meta.fields if field.related_model is Tenant]
        if own:
            said = f"{model._meta.label} has a tenant ({', '.join(own)}), but its tenant_lookup is None."
            yield Error(said, hint=HINT, obj=model, id="accounts.E003")
    elif not isinstance(lookup, str) or not _leads_to_a_tenant(model, lookup):
        said = f"{model._meta.label}.tenant_lookup ({lookup!r}) does not lead to a tenant's id."
        yield Error(said, hint=HINT, obj=model, id="accounts.E002")


def _leads_to_a_tenant(model: type[models.Model], lookup: str) -> bool:
    *steps, last = lookup.split("__")
    for step in steps:
        related = _field(model, step)
        if related is None or not related.many_to_one or not isinstance(related.related_model, type):
            return False
        model = related.related_model
    if last == "pk":
        return model is Tenant
    field = _field(model, last)
    if field is None or last != getattr(field, "attname", ""):
        return False
    # Counters that triggers write keep the id alone, without a reference.
    return field.related_model is Tenant or (last == "tenant_id" and isinstance(field, models.IntegerField))


def _field(model: type[models.Model], name: str) -> Any:
    """Return a field of the model by name or column (Django finds a foreign key by either), or None."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
