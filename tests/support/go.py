"""Builds Go programs of the tests: their modules are pinned beside them, and Go's own caches keep what was built."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

_TESTS = Path(__file__).resolve().parents[1]
_IN_CI = os.environ.get("CI") == "true"


def go_program(folder: str, into: Path) -> Path:
    """Build the program in a folder of tests. Skips where this machine has no Go, or cannot have the modules."""
    go = shutil.which("go")
    if go is None:
        _missing("needs Go: there is no `go` here")
    source, program = _TESTS / folder, into / Path(folder).name
    fetched = _run(go, "mod", "download", folder=source)
    if fetched.returncode != 0:
        _missing(f"needs Go modules that are not here: {fetched.stderr}")
    built = _run(go, "build", "-mod=readonly", "-o", str(program), ".", folder=source)
    assert built.returncode == 0, built.stderr
    return program


def _run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def _missing(reason: str) -> NoReturn:
    if _IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
