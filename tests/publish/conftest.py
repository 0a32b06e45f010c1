"""What tests of pages need: a browser."""

import os
import shutil
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; tests that need one are skipped where there is none."""
    named = os.environ.get("CXLIB_CHROMIUM")
    if named:
        if not Path(named).is_file():
            pytest.fail(f"CXLIB_CHROMIUM names {named!r}, and there is no such file")
        return named
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium here (install one, or set CXLIB_CHROMIUM to its path)")
