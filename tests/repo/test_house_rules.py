"""Holds the code to the rules that no linter knows. Each rule says what to do about a finding."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.repo.tree import CLIENT, ROOT, SERVER, files, name, parse, python_files, texts

SOURCES = ("server", "clients/python")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FOLDER_FILES_MAX = 22

# What is longer, and why that reads better than two: "file.py" or "file.py:function".
LONGER_FILES: dict[str, str] = {}
LONGER_FUNCTIONS: dict[str, str] = {}

# Values and calculation, nothing else. zoneinfo reads a file once, and days need it.
CORE_MAY_IMPORT = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "hmac",
    "heapq",
    "ipaddress",
    "itertools",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "tollkeeper.core",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "zlib",
    "zoneinfo",
}

# Spelt so that this file is not its own finding.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|tmp|root|home/\w+)/")
REGISTRIES = re.compile(
    r"(?:pypi|pythonhosted)[.]org|registry[.](?:npmjs|yarnpkg)[.]|proxy[.]golang[.]org"
    r"|repo1?[.]maven|(?:static|index)[.]crates[.]io|buf[.]build"
)


def test_the_core_imports_nothing_that_does_io() -> None:
    findings = [
        f"{name(path)}: {module}"
        for path in python_files("server/tollkeeper/core")
        for module in imports(parse(path))
        if not any(module == known or module.startswith(f"{known}.") for known in CORE_MAY_IMPORT)
    ]

    assert not findings, "pass it in as an argument"


def test_a_file_has_one_subject() -> None:
    long = {
        name(path): lines(path) for path in python_files(*SOURCES) if lines(path) > FILE_LINES_MAX
    }

    assert long.keys() <= LONGER_FILES.keys(), (
        f"over {FILE_LINES_MAX} lines: {long}; split by subject"
    )


def test_a_folder_holds_about_twenty_files() -> None:
    folders = Counter(
        name(path.parent) for path in python_files(*SOURCES, "tests") if path.name != "__init__.py"
    )

    full = {folder: count for folder, count in folders.items() if count > FOLDER_FILES_MAX}

    assert not full, f"over {FOLDER_FILES_MAX} files: {full}; a family becomes a folder"


def test_a_function_fits_on_a_screen() -> None:
    long = {
        f"{name(path)}:{function.name}": length(function)
        for path in python_files(*SOURCES)
        for function in functions(parse(path))
        if length(function) > FUNCTION_LINES_MAX
    }

    assert long.keys() <= LONGER_FUNCTIONS.keys(), f"over {FUNCTION_LINES_MAX} lines: {long}"


def test_an_exception_that_is_no_longer_needed_is_gone() -> None:
    long_files = {name(path) for path in python_files(*SOURCES) if lines(path) > FILE_LINES_MAX}
    long_functions = {
        f"{name(path)}:{function.name}"
        for path in python_files(*SOURCES)
        for function in functions(parse(path))
        if length(function) > FUNCTION_LINES_MAX
    }

    assert LONGER_FILES.keys() <= long_files
    assert LONGER_FUNCTIONS.keys() <= long_functions


def test_every_python_file_says_what_it_is_for() -> None:
    findings = [
        name(path)
        for path in python_files(*SOURCES, "tests", "proto")
        if path.stat().st_size > 0 and not ast.get_docstring(parse(path))
    ]

    assert not findings, "open it with what it decides or does"


def test_nothing_is_left_unfinished() -> None:
    assert not findings_of(UNFINISHED), "do it, or take it out"


def test_no_file_knows_a_machine_that_it_was_written_on() -> None:
    assert not findings_of(MACHINE_PATH), "name it from the project's root"


def test_no_file_names_a_package_registry() -> None:
    assert not findings_of(REGISTRIES), "the clients know their registries"


def test_the_changelog_has_a_place_for_the_next_entry() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(r"^## \[Unreleased\]", changelog, re.MULTILINE)


def test_bare_make_lists_every_verb() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    listed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert verbs is not None
    assert re.findall(r"^make ([\w-]+) +\S", listed, re.MULTILINE) == verbs[1].split()


def test_every_pinned_requirement_is_a_name_and_a_version() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    findings = [pin for pin in pins if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", pin)]

    assert not findings


def test_the_packages_say_that_they_are_typed() -> None:
    assert {SERVER / "py.typed", CLIENT / "py.typed"} <= set(files())


def findings_of(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{number}: {found[0]}"
        for file, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
