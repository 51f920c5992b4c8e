"""Rules of the house that no linter knows: layers, sizes, dependencies, links."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("medbench", "datamodules", "lit_models", "benchmarks", "sweeps")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# What a layer may import, of ours. The first name that fits a module is its layer.
MAY_IMPORT = {
    "medbench.core": (),
    "datamodules": ("medbench.core",),
    "lit_models": ("medbench.core",),
    "benchmarks.speed": ("medbench", "datamodules", "lit_models", "benchmarks"),  # scripts
    "benchmarks": ("medbench.core", "datamodules", "lit_models.backbones"),
    "medbench": ("datamodules", "lit_models", "benchmarks"),
    "sweeps": ("medbench", "datamodules", "lit_models", "benchmarks"),
}
LIGHT = ("medbench/core", "datamodules")  # these answer before torch could be imported
HEAVY = {"torch", "lightning", "torchvision", "diffusers", "transformers", "monai", "mlflow"}


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported: `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_imports_point_one_way(path: Path) -> None:
    layer = next(layer for layer in MAY_IMPORT if within(module_name(path), layer))
    allowed = (layer, *MAY_IMPORT[layer])
    wrong = [
        f"{short(path)}:{line} imports {name}"
        for line, name in imports(parse(path))
        if name.split(".")[0] in PACKAGES and not any(within(name, other) for other in allowed)
    ]
    assert not wrong, f"{layer} may import of ours: {allowed}"


def test_light_packages_import_without_torch() -> None:
    modules = [module_name(path) for path in SOURCES if short(path).startswith(LIGHT)]
    code = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        f"print(*sorted(set(sys.modules) & {HEAVY}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ""


def test_metrics_need_numpy_and_scipy_only() -> None:
    ours = {"numpy", "scipy", "benchmarks", "medbench", *sys.stdlib_module_names}
    wrong = [
        f"{short(path)}:{line} imports {name}"
        for path in SOURCES
        if short(path).startswith("benchmarks/metrics/")
        for line, name in imports(parse(path))
        if name.split(".")[0] not in ours
    ]
    assert not wrong


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=short)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 80, f"{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_public_functions_are_annotated(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if not a.annotation and a.arg not in ("self", "cls")]
            assert not bare and node.returns, f"line {node.lineno}: {node.name} {bare}"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_nothing_unpickles(path: Path) -> None:
    """A checkpoint from elsewhere can run code unless torch is told to load tensors alone."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert safe.get("weights_only") == "True", f"line {node.lineno}"
    assert not {name for _, name in imports(parse(path)) if name.startswith("pickle")}


def declared() -> dict[str, list[str]]:
    """Names of the distributions that pyproject.toml asks for, by group; `run` is always there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"run": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: [re.split(r"[^\w.-]", line)[0].lower() for line in lines]
        for group, lines in groups.items()
    }


def test_every_dependency_is_imported_pinned_and_explained() -> None:
    known = packages_distributions()
    asked = declared()
    providers = {
        name: {distribution.lower() for distribution in known.get(name, [])}
        for path in SOURCES
        for name in {full.split(".")[0] for _, full in imports(parse(path))}
        if name not in (*PACKAGES, *sys.stdlib_module_names)
    }
    for name, offered in providers.items():
        assert offered & set(asked["run"]), f"{name} is imported and not in pyproject.toml"
    assert set(asked["run"]) <= set().union(*providers.values()), "a dependency nobody imports"
    pinned = re.findall(r"^(\S+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").lower()
    for name in itertools.chain(*asked.values()):
        assert name in pinned, f"{name} has no version in constraints.txt"
        assert f"| {name} |" in page, f"{name} has no line in docs/dependencies.md"


def test_constraints_hold_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9.-]+==[\w.!]+", line), line


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{link} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{link}: no such heading"
