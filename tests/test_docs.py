"""The documentation is complete, and what it says can be done."""

import importlib
import inspect
import pkgutil
import re
import subprocess
from pathlib import Path

import pytest

import cxlib

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [
    *PROJECT.glob("*.md"),
    *(PROJECT / "docs").rglob("*.md"),
    PROJECT / "data" / "README.md",
]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(cxlib.__path__, "cxlib.")
    if not module.name.rsplit(".", 1)[-1].startswith("_")
)


# The modules that a user imports from; what is public in the others serves these.
HOMES = sorted(
    {getattr(getattr(cxlib, name), "__module__", "cxlib") for name in cxlib.__all__}
    | {name for name in MODULES if name.startswith("cxlib.publish.")}
    | {"cxlib", "cxlib.plot", "cxlib.demo"}
)


def public_things() -> dict[str, object]:
    """Functions and classes that a user meets, by their full name."""
    found = {}
    for home in HOMES:
        module = importlib.import_module(home)
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return dict(sorted(found.items()))


def code_blocks(page: Path, language: str = "") -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("name", public_things())
def test_every_public_name_has_a_docstring_with_an_example(name: str) -> None:
    text = inspect.getdoc(public_things()[name]) or ""
    assert text, f"{name} has no docstring"
    assert re.search(r"^Examples\n--------\n", text, re.MULTILINE), f"{name} has no Examples"
    assert ">>>" in text


def test_examples_run_unless_they_need_a_notebook_or_an_engine() -> None:
    # tests/publish/test_report.py calls these on the demo company; 15 s each is too dear twice.
    allowed = {"cxlib.publish.report.render_report", "cxlib.publish.report.render_reports"}
    allowed |= {"cxlib.publish.execution.execute"}
    # Spark is not installed with cxlib; make test-spark opens it for each of its tests.
    allowed.add("cxlib.engine.spark.connect_spark")
    skipped = {name for name, thing in public_things().items() if "+SKIP" in (thing.__doc__ or "")}
    assert skipped <= allowed


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_commands_in_the_documentation_exist(page: Path) -> None:
    import typer

    from cxlib.publish.cli import app

    makefile = (PROJECT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z_]+)\)", makefile))
    commands = set(typer.main.get_group(app).commands)
    text = page.read_text("utf-8")
    code = "\n".join([*code_blocks(page, "[a-z]*"), *re.findall(r"`([^`\n]+)`", text)])
    for line in re.findall(r"^make ((?:[a-zA-Z_-]+(?:=\S+)? ?)+)", code, re.MULTILINE):
        words = line.split()
        assert words[0] in targets, f"{page.name}: make {line}"
        assert {word.split("=")[0] for word in words if "=" in word} <= variables, line
    for command in re.findall(r"^(?:\S*[/\\])?cxlib ([a-z]+)", code, re.MULTILINE):
        assert command in commands, f"{page.name}: cxlib {command}"


def test_the_index_of_measures_names_every_public_one() -> None:
    text = (PROJECT / "docs" / "measures.md").read_text("utf-8")
    named = set(re.findall(r"`([A-Za-z_.]+)(?:\([a-z_=]*\))?`", text))
    palette = {"figure_template", "touchpoint_colour", "touchpoint_colours"}
    charts = {f"plot.{name}" for name in set(cxlib.plot.__all__) - palette}
    assert (set(cxlib._HOME) | charts) - named == set()
    assert {name for name in named if name.startswith("plot.")} <= charts


def test_the_python_of_the_readme_runs_on_the_demo_company(demo_workspace: Path) -> None:
    (example,) = code_blocks(PROJECT / "README.md", "python")
    exec(example.replace("data/demo", demo_workspace.as_posix()), {})


YAML = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in (PROJECT / "docs" / "ingest.md", PROJECT / "docs" / "sources.md")
    for number, block in enumerate(code_blocks(page, "yaml"), start=1)
    if block.startswith("name:")
]


@pytest.mark.parametrize("text", YAML)
def test_the_descriptions_of_exports_in_the_documentation_load(tmp_path: Path, text: str) -> None:
    from cxlib.ingest.config import load_sources

    (tmp_path / "sources.yml").write_text(text, encoding="utf-8")
    assert load_sources(tmp_path / "sources.yml").sources


def test_every_make_target_is_listed_with_what_it_does() -> None:
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    described = re.findall(r"^([a-z-]+):.*## \w+", makefile, re.MULTILINE)
    assert sorted(described) == sorted(phony.split())


def test_no_file_names_a_package_host_or_a_path_of_this_machine() -> None:
    # In pieces, so that this file does not find itself.
    unwanted = ["pypi" + ".org", "python" + "hosted", "/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/"]
    patterns = [part for text in unwanted for part in ("-e", text)]
    found = subprocess.run(
        ["git", "grep", "-I", "-n", "-F", *patterns],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 128:
        pytest.skip("this is not a git checkout, so that its files cannot be told from others")
    assert not found.stdout
