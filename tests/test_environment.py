"""pyproject.toml, environment.yml and the locks say the same, and name no package host."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-spark.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def pins(text):
    found = {}
    for name, version in PIN.findall(text):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.fixture(scope="module")
def wanted(project):
    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = meta["optional-dependencies"]
    return {
        "requirements.lock": meta["dependencies"],
        "requirements-dev.lock": meta["dependencies"] + extras["dev"],
        "requirements-spark.lock": meta["dependencies"] + extras["spark"],
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_pinned_to_a_version_that_it_allows(project, wanted, lock):
    locked = pins((project / lock).read_text())
    for line in wanted[lock]:
        requirement = Requirement(line)
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{lock} has no {requirement.name}; run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), line


def test_the_locks_agree(project):
    run, dev, spark = (pins((project / lock).read_text()) for lock in LOCKS)
    assert {name: dev.get(name) for name in run} == run
    shared = {name: version for name, version in spark.items() if name not in ("pyspark", "py4j")}
    assert {name: dev.get(name) for name in shared} == shared


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes_and_no_lock_names_a_host(project, lock):
    text = (project / lock).read_text()
    blocks = re.split(r"\n(?=\S)", text)
    assert all("--hash=sha256:" in block for block in blocks if PIN.match(block))
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", text)


def test_conda_installs_the_python_and_the_lock_that_pyproject_stands_for(project):
    environment = yaml.safe_load((project / "environment.yml").read_text())
    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert environment["name"] == meta["name"]
    assert environment["channels"] == ["conda-forge"]
    assert "python" + meta["requires-python"] in conda
    assert "pip" in conda
    assert pip == ["-r requirements.lock"]


def test_what_conda_leaves_out_is_installed_without_its_dependencies(project):
    post = (project / "postBuild").read_text()
    assert "pip install --no-deps --no-build-isolation -e ." in post


def test_the_versions_in_the_package_and_its_description_agree(project):
    import cxlib

    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert cxlib.__version__ == meta["version"]
