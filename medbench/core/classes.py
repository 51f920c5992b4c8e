"""From a dotted path in a config to a class."""

import importlib
from typing import Any

from medbench.core.errors import UserError, nearest


def load_class(dotted: str) -> Any:
    """Import `package.module.Name`; one sentence when there is no such thing."""
    module_name, _, name = dotted.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise UserError(f"class {dotted}: there is no module {error.name}.") from None
        raise UserError(
            f"class {dotted} needs the package {error.name}, which is not installed."
        ) from error
    if not hasattr(module, name):
        raise UserError(f"class {dotted}: {module_name} has no {name}{nearest(name, dir(module))}")
    return getattr(module, name)
