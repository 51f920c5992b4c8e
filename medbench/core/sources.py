"""The definitions of a source file, found over sys.path and read without importing anything."""

import ast
import copy
import importlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError, nearest

# what a class inherits from these is no setting of ours
FOREIGN = {"torch", "lightning", "pytorch_lightning", "diffusers", "transformers", "monai", "numpy"}


@dataclass(frozen=True)
class Source:
    """A value that only running the code would give; `text` is how the code writes it."""

    text: str

    def __str__(self) -> str:
        return self.text


class Module:
    """The definitions of one source file, and where its names come from."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self._lines = path.read_text(encoding="utf-8").splitlines()
        tree = parse(path)
        self.classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self.constants: dict[str, ast.expr] = {}
        self.imports: dict[str, str] = {}
        for node in tree.body:
            self._define(node)

    def note(self, line: int) -> str:
        """The comment at the end of a line, counted from 1."""
        _, sign, comment = self._lines[line - 1].rpartition("  # ")
        return comment.strip() if sign else ""

    def _define(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.constants[target.id] = node.value
        elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
            self.constants[node.target.id] = node.value
        elif isinstance(node, ast.Import):
            for alias in node.names:
                plain = alias.name.split(".")[0]
                self.imports[alias.asname or plain] = alias.name if alias.asname else plain
        elif isinstance(node, ast.ImportFrom):
            package = self._package(node)
            for alias in node.names:
                self.imports[alias.asname or alias.name] = f"{package}.{alias.name}"

    def _package(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        drop = node.level - (self.path.name == "__init__.py")
        parts = parts[: len(parts) - drop] if drop else parts
        return ".".join(parts + ([node.module] if node.module else []))

    def find_class(self, name: str) -> "tuple[Module, ast.ClassDef] | None":
        """A class defined here, or imported here from elsewhere."""
        if name in self.classes:
            return self, self.classes[name]
        return follow(self.imports[name]) if name in self.imports else None

    def lineage(self, node: ast.ClassDef, bases: list[str]) -> "list[tuple[Module, ast.ClassDef]]":
        """The class and its bases, nearest first; their dotted names are added to `bases`."""
        chain: list[tuple[Module, ast.ClassDef]] = [(self, node)]
        for base in node.bases:
            dotted = self.dotted(base)
            bases.append(dotted)
            local = self.find_class(dotted) if "." not in dotted else follow(dotted)
            if local is not None:
                chain += local[0].lineage(local[1], bases)
        return chain

    def dotted(self, expression: ast.expr) -> str:
        """`L.LightningModule` as `lightning.LightningModule`; a name of this file as it is."""
        text = ast.unparse(expression).split("[")[0]
        head, _, rest = text.partition(".")
        full = self.imports.get(head, head)
        return f"{full}.{rest}" if rest else full

    def attributes(self, node: ast.ClassDef) -> dict[str, Any]:
        """The class attributes that are literals, or made of literals."""
        found = {}
        for statement in node.body:
            if isinstance(statement, ast.Assign):
                names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                names = [statement.target.id]
            else:
                continue
            value = self.value(statement.value) if statement.value else None
            if value is not None and not isinstance(value, Source):
                found.update(dict.fromkeys(names, value))
        return found

    def value(self, expression: ast.expr) -> Any:
        """A literal, a named constant, or a sum of such; otherwise its source."""
        try:
            return ast.literal_eval(expression)
        except ValueError:
            pass
        if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Add):
            left, right = self.value(expression.left), self.value(expression.right)
            if type(left) is type(right) and isinstance(left, int | float | str | tuple | list):
                return left + right
        if isinstance(expression, ast.Tuple | ast.List):
            parts = self._items(expression.elts)
            if parts is not None:
                return tuple(parts) if isinstance(expression, ast.Tuple) else parts
        if isinstance(expression, ast.Name):
            return self._named(expression.id)
        if isinstance(expression, ast.Attribute):
            return self._attribute(expression)
        return Source(ast.unparse(expression))

    def _items(self, items: list[ast.expr]) -> list[Any] | None:
        """The values of a display, `(*Base.needs, "x")` written out; None if one is no literal."""
        found: list[Any] = []
        for item in items:
            spread = isinstance(item, ast.Starred)
            value = self.value(item.value if isinstance(item, ast.Starred) else item)
            if isinstance(value, Source) or (spread and not isinstance(value, tuple | list)):
                return None
            found += value if spread else [value]
        return found

    def _named(self, name: str) -> Any:
        if name in self.constants:
            return self.value(self.constants[name])
        origin = self.imports.get(name, "")
        module, there = _module_of(origin), origin.rpartition(".")[2]
        if module is not None and there in module.constants:
            return module.value(module.constants[there])
        return Source(name)

    def _attribute(self, expression: ast.Attribute) -> Any:
        """`Base.needs`, for attributes that add to their base's."""
        dotted = self.dotted(expression.value)
        found = self.find_class(dotted) if "." not in dotted else follow(dotted)
        if found is not None:
            for where, definition in found[0].lineage(found[1], []):
                values = where.attributes(definition)
                if expression.attr in values:
                    return values[expression.attr]
        return Source(ast.unparse(expression))

    def annotation(self, expression: ast.expr) -> str:
        """An annotation as source, with aliases of this project written out."""
        if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
            expression = ast.parse(expression.value, mode="eval").body
        return ast.unparse(_Aliases(self).visit(ast.parse(ast.unparse(expression), mode="eval")))


class _Aliases(ast.NodeTransformer):
    """Names that stand for a type somewhere in the project, replaced by that type."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node.value).rpartition(".")[2] == "Literal":
            return node
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        module: Module | None = self.module
        name = node.id
        if name not in self.module.constants:
            origin = self.module.imports.get(name, "")
            module, name = _module_of(origin), origin.rpartition(".")[2]
        if module is None or name not in module.constants:
            return node
        return _Aliases(module).visit(copy.deepcopy(module.constants[name]))


def follow(dotted: str) -> tuple[Module, ast.ClassDef] | None:
    """A class of this project by its dotted path; None for what is foreign or not there."""
    module = _module_of(dotted)
    return module.find_class(dotted.rpartition(".")[2]) if module is not None else None


def _module_of(dotted: str) -> Module | None:
    name = dotted.rpartition(".")[0]
    top = name.split(".")[0]
    if not top or top in FOREIGN or top in sys.stdlib_module_names:
        return None
    try:
        return open_module(name)
    except UserError:
        return None


def open_module(name: str) -> Module:
    """A module's definitions, read once for each version of its file."""
    path = find_module(name)
    return _open_module(name, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _open_module(name: str, path: Path, stamp: int) -> Module:
    return Module(name, path)


def find_module(name: str) -> Path:
    """The source file of a module, found without importing its packages."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    if spec is None:  # perhaps a folder that is newer than the import system's listing
        importlib.invalidate_caches()
        spec = find_spec(top)
    if spec is None:
        raise UserError(
            f"there is no package {top}{nearest(top, _packages()) or '.'} A package of yours is "
            "found with --config-dir DIR, where DIR is the folder that holds it."
        )
    if not rest and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for depth, part in enumerate(rest, start=1):
        files = [f for d in folders for f in (d / f"{part}.py", d / part / "__init__.py")]
        found = next((file for file in files if file.is_file()), None)
        if found is not None and depth == len(rest):
            return found
        below = [folder / part for folder in folders if (folder / part).is_dir()]
        if not below:
            known = {p.stem for d in folders for p in d.glob("*") if p.stem[:1] not in "_."}
            above = ".".join([top, *rest[: depth - 1]])
            raise UserError(f"there is no module {part} in {above}{nearest(part, known) or '.'}")
        folders = below
    raise UserError(f"{name} is a package without an __init__.py: name a module in it.")


def _packages() -> set[str]:
    folders = [Path(entry or ".") for entry in sys.path if Path(entry or ".").is_dir()]
    return {p.parent.name for d in folders[:2] for p in d.glob("*/__init__.py")} | {
        "lit_models",
        "datamodules",
        "benchmarks",
    }


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file, read once for each version of it."""
    return _parse(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _parse(path: Path, stamp: int) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}.") from None
