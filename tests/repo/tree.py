"""The files of this repository as its rules see them: what is, or is about to be, under version
control.
"""

import ast
import functools
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server" / "tollkeeper"
CLIENT = ROOT / "clients" / "python" / "tollkeeper_client"
GENERATED = SERVER / "v1"
SCRIPTS = Path(sysconfig.get_path("scripts"))


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would add, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(*folders: str) -> list[Path]:
    """Hand-written Python files below `folders`."""
    return [
        path
        for path in files()
        if path.suffix == ".py"
        and not any(path.is_relative_to(folder) for folder in (GENERATED, CLIENT / "v1"))
        and any(path.is_relative_to(ROOT / folder) for folder in folders)
    ]


def texts() -> list[tuple[str, str]]:
    """Every text file as its name and content."""
    found: list[tuple[str, str]] = []
    for path in files():
        try:
            found.append((name(path), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
