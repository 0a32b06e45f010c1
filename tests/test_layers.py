"""Which module may import which: data flow one way."""

import ast
from pathlib import Path

import pytest

from cxlib import _HOME
from cxlib.recipes import code_of_builds

GROUND = ("errors", "spans", "tables", "intervals", "likelihood", "descriptions")
ORDER = (
    "engine",
    "ingest",
    "journeys",
    "models",
    "log_writer",
    "growth",
    "increments",
    "event_log",
    "recipes",
    "build",
    "watch",
    "forget",
    "demo",
    "publish",
)
LOG = ("counted", "prepare", "log", "maps", "patterns", "periods")
"""Modules of journeys that the others build on; the rest meet in frames."""


def imported_modules(source: str, module: str) -> set[str]:
    """Modules of cxlib that a module imports, wherever in it, and for types too."""
    found: set[str] = set()
    package = module.rsplit(".", 1)[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, node.module or ""] if node.level else [node.module or ""])
            base = base.rstrip(".")
            # "from cxlib.journeys import log" imports cxlib.journeys.log.
            found |= {base} | {f"{base}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Call) and _is_import_call(node):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    # "from cxlib import flows" imports the module where flows lives.
    found = {_HOME.get(name.removeprefix("cxlib."), name) for name in found}
    return {name for name in found if name.startswith("cxlib.")}


def _is_import_call(node: ast.Call) -> bool:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("import_module", "__import__")


def part(module: str) -> str:
    """Name below cxlib: "journeys" of "cxlib.journeys.log"."""
    return module.split(".")[1] if "." in module else ""


def forbidden(module: str, imported: str) -> str | None:
    """Why a module must not import another, or None."""
    here, there = part(module), part(imported)
    if here == there:
        return _forbidden_sibling(module, imported)
    if here in GROUND:
        return None if there == "errors" else f"{here} is the ground floor"
    if there in GROUND:
        return None
    if here == "plot":
        return "plot imports the ground floor alone"
    if here == "journeys" and there == "ingest":
        return "ingest and journeys meet in build"
    if there == "plot":
        return None if here == "publish" else "only publish draws"
    if here in ORDER and there in ORDER:
        late = ORDER.index(there) > ORDER.index(here)
        return f"{there} comes after {here}" if late else None
    return None


def _forbidden_sibling(module: str, imported: str) -> str | None:
    if part(module) not in ("journeys", "models") or imported.count(".") < 2:
        return None
    own, other = module.split(".")[2], imported.split(".")[2]
    if own == other or (part(module) == "journeys" and (other in LOG or own in LOG)):
        return None
    return f"modules of {part(module)} meet in frames that the user holds"


def modules_of(package: Path) -> dict[str, Path]:
    """Files of a package by the names of their modules."""
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in sorted(package.rglob("*.py"))
    }


def breaches(package: Path) -> list[str]:
    found = []
    modules = modules_of(package)
    for module, path in modules.items():
        if path.name == "__init__.py":
            continue
        for imported in sorted(imported_modules(path.read_text(encoding="utf-8"), module)):
            known = imported in modules or f"{imported}.__init__" in modules
            reason = forbidden(module, imported) if known else None
            if reason:
                found.append(f"{module} imports {imported}: {reason}")
    return found


def test_modules_import_only_what_stands_above_them(project):
    assert breaches(project / "cxlib") == []


def test_a_recipe_names_all_code_that_a_build_runs(project):
    modules = modules_of(project / "cxlib")
    names, todo = set(), ["cxlib.build"]
    while todo:
        name = todo.pop()
        found = imported_modules(modules[name].read_text(encoding="utf-8"), name)
        names.add(name)
        todo += (found & set(modules)) - names
    assert {"cxlib.spans", "cxlib.ingest.sources"} <= names
    assert {modules[name] for name in names} <= set(code_of_builds())


def test_every_part_has_its_place(project):
    names = {path.stem for path in (project / "cxlib").iterdir() if path.suffix in ("", ".py")}
    assert names - {"__init__", "__pycache__"} == {*GROUND, *ORDER, "plot"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cxlib.engine.store", "from cxlib.journeys.log import Journeys"),
        ("cxlib.journeys.paths", "def f():\n    from cxlib.models import survival"),
        ("cxlib.journeys.paths", "import cxlib.journeys.funnels"),
        ("cxlib.journeys.paths", "from .funnels import dropoff"),
        ("cxlib.journeys.paths", "from . import funnels"),
        ("cxlib.journeys.log", "from cxlib.ingest.sources import read"),
        ("cxlib.ingest.sources", "from cxlib.journeys import log"),
        ("cxlib.models.survival", "def f():\n    import cxlib.models.outcomes as o"),
        (
            "cxlib.models.survival",
            "from importlib import import_module\nimport_module('cxlib.build')",
        ),
        ("cxlib.plot.ribbons", "from cxlib.engine.connect import connect"),
        ("cxlib.spans", "from cxlib.engine.connect import connect"),
        ("cxlib.errors", "from cxlib.spans import parse_span"),
        ("cxlib.engine.store", "from cxlib import flows"),
        ("cxlib.build", "if TYPE_CHECKING:\n    from cxlib.publish.cli import main"),
        ("cxlib.models.survival", "from cxlib.plot import ribbons"),
    ],
)
def test_an_import_against_the_order_is_seen_wherever_it_stands(tmp_path, module, source):
    package = tmp_path / "cxlib"
    for name in [
        *(
            "errors",
            "spans",
            "build",
            "engine.store",
            "engine.connect",
            "ingest.sources",
            "publish.cli",
        ),
        *("journeys.log", "journeys.paths", "journeys.funnels", "plot.ribbons"),
        *("models.survival", "models.outcomes"),
    ]:
        path = package.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.touch()
    tmp_path.joinpath(*module.split(".")).with_suffix(".py").write_text(source)
    assert len(breaches(package)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cxlib.journeys.paths", "from cxlib.journeys.log import Journeys"),
        ("cxlib.models.outcomes", "from cxlib.journeys.log import Journeys"),
        ("cxlib.build", "import cxlib.ingest.sources, cxlib.journeys.log"),
        ("cxlib.plot.ribbons", "from cxlib.errors import CxError\nfrom .curves import draw"),
    ],
)
def test_an_import_in_the_order_is_allowed(module, source):
    assert not [name for name in imported_modules(source, module) if forbidden(module, name)]
