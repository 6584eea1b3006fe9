"""Finding what apps declare: a module or a package of an agreed name in each app, so that nothing has to be listed anywhere."""

import pkgutil
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.utils.module_loading import module_has_submodule


def import_from_apps(name: str) -> list[ModuleType]:
    """Import the module `name` of every installed app, in the order of the apps, and return what was imported.

    Where it is a package, each module and package in it is imported as well, in the order of their names.
    """
    found: list[ModuleType] = []
    for app in apps.get_app_configs():
        if app.module is None or not module_has_submodule(app.module, name):
            continue
        module = import_module(f"{app.name}.{name}")
        found.append(module)
        found += [import_module(f"{module.__name__}.{part.name}") for part in pkgutil.iter_modules(getattr(module, "__path__", ()))]
    return found
