"""From a dotted path in a config to a class, and to its signature without importing anything.

A signature is read from the source, so that a check of a whole config needs no torch."""

import ast
import importlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError, nearest
from medbench.core.sources import Module, open_module


@dataclass(frozen=True)
class Parameter:
    """One argument: its annotation as source with aliases written out, and its default."""

    name: str
    annotation: str | None
    default: Any
    required: bool
    note: str = ""  # the comment behind it


@dataclass(frozen=True)
class ClassSource:
    """What a class's source says of it."""

    dotted: str
    path: Path
    doc: str  # first sentence of the docstring
    parameters: dict[str, Parameter]  # of __init__
    sampling: dict[str, Parameter]  # keyword-only arguments of generate
    attributes: dict[str, Any]  # class attributes whose values are literals
    bases: tuple[str, ...] = ()  # dotted, nearest first, foreign ones included
    methods: frozenset[str] = frozenset()  # its own and its bases', but for those that only raise


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


def read_class(dotted: str) -> ClassSource:
    """The signature of `package.module.Name`, or one sentence when there is no such class."""
    module_name, _, name = dotted.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in dotted.split(".")):
        raise UserError(
            f"class {dotted}: this is no dotted path; write package.module.Name, "
            "such as lit_models.msdm.Autoencoder."
        )
    try:
        module = open_module(module_name)
    except UserError as error:
        raise UserError(f"class {dotted}: {error}") from None
    found = module.find_class(name)
    if found is None:
        known = list(module.classes)
        close = nearest(name, known) or f"; it has {', '.join(known) or 'no classes'}."
        raise UserError(f"class {dotted}: {module.path} has no class {name}{close}")
    return _describe(dotted, *found)


def _describe(dotted: str, module: "Module", node: ast.ClassDef) -> ClassSource:
    attributes: dict[str, Any] = {}
    init: tuple[Module, ast.FunctionDef] | None = None
    generate: tuple[Module, ast.FunctionDef] | None = None
    bases: list[str] = []
    methods: set[str] = set()
    for where, definition in module.lineage(node, bases):
        functions = {f.name: f for f in definition.body if isinstance(f, ast.FunctionDef)}
        methods |= {name for name, function in functions.items() if not _only_raises(function)}
        if init is None and "__init__" in functions:
            init = where, functions["__init__"]
        if generate is None and "generate" in functions:
            generate = where, functions["generate"]
        for name, value in where.attributes(definition).items():
            attributes.setdefault(name, value)
    doc = ast.get_docstring(node) or ""
    return ClassSource(
        dotted,
        module.path,
        doc.split("\n\n")[0].replace("\n", " ").strip(),
        _parameters(init, keyword_only=False),
        _parameters(generate, keyword_only=True),
        attributes,
        tuple(bases),
        frozenset(methods),
    )


def _only_raises(function: ast.FunctionDef) -> bool:
    """A base's method that says no more than that a class must write its own."""
    body = [s for s in function.body if not isinstance(s, ast.Expr)]
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _parameters(
    found: "tuple[Module, ast.FunctionDef] | None", keyword_only: bool
) -> dict[str, Parameter]:
    if found is None:
        return {}
    module, function = found
    arguments = function.args
    pairs: list[tuple[ast.arg, ast.expr | None]] = []
    if not keyword_only:
        positional = arguments.posonlyargs + arguments.args
        blank: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
        pairs += list(zip(positional, blank + list(arguments.defaults), strict=True))[1:]
    pairs += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    alone = Counter(argument.lineno for argument, _ in pairs)
    return {
        argument.arg: Parameter(
            argument.arg,
            module.annotation(argument.annotation) if argument.annotation else None,
            None if default is None else module.value(default),
            required=default is None,
            note=module.note(argument.lineno) if alone[argument.lineno] == 1 else "",
        )
        for argument, default in pairs
    }


@dataclass(frozen=True)
class FunctionSource:
    """What the source of a decorated function says of it."""

    doc: str  # first line of the docstring
    settings: dict[str, Parameter]  # keyword-only arguments


def decorated(module: Module, decorator: str) -> dict[str, FunctionSource]:
    """The functions under `@decorator("name", ...)`, by that name."""
    found = {}
    for function in module.functions.values():
        for call in function.decorator_list:
            if not isinstance(call, ast.Call) or not call.args:
                continue
            same = ast.unparse(call.func).rpartition(".")[2] == decorator
            if same and isinstance(call.args[0], ast.Constant):
                doc = (ast.get_docstring(function) or "").split("\n")[0]
                settings = _parameters((module, function), keyword_only=True)
                found[str(call.args[0].value)] = FunctionSource(doc, settings)
    return found
