"""Folders that many tests read and none changes: made by the first worker that asks for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


class BuiltOnce:
    """Folders that all workers of a run share, under one that is the run's own."""

    root: Path | None = None

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """Folder of a name, filled by ``make`` where no worker has done so."""
        if self.root is None:
            raise RuntimeError("tests/conftest.py says where folders are that workers share")
        folder = self.root / name
        with FileLock(self.root / f"{name}.lock"):
            if not (folder / "ready").exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                (folder / "ready").touch()
        return folder


built_once = BuiltOnce()
