"""Reports as files: .json as it is, .html as one page; read again to be compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from tollkeeper.cli.failure import CommandError, Why, wrong_option
from tollkeeper.cli.output_file import output_file
from tollkeeper.cli.terminal.json_form import to_json
from tollkeeper.cli.text_file import read_text
from tollkeeper_loadtest.extra import extra_missing
from tollkeeper_loadtest.reporting.report import SCHEMA, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ENDINGS = (".json", ".html")


def check_outputs(paths: Sequence[Path]) -> None:
    """Refuse, before anything is loaded, a file whose name does not say what it is to be, or that cannot be made."""
    for path in paths:
        if path.suffix not in ENDINGS:
            raise wrong_option("--output", str(path), f"must end with one of {', '.join(ENDINGS)}")
    if any(path.suffix == ".html" for path in paths):
        _page_of()


def write_files(report: Report, paths: Sequence[Path]) -> None:
    """Write the report to each."""
    for path in paths:
        text = _page_of()(report) if path.suffix == ".html" else to_json(report) + "\n"
        with output_file(path) as file:
            file.write(text.encode())


def read_report(path: Path) -> Report:
    """Read a report of this schema."""
    try:
        read = json.loads(read_text(path))
    except ValueError:
        raise CommandError(f"{path}: is not JSON", reason=Why.FILE_INVALID) from None
    report = cast("Report", read) if isinstance(read, dict) else {}
    if report.get("schema") != SCHEMA:
        raise CommandError(
            f"{path}: is not a report of a load test of this form, {SCHEMA}",
            reason=Why.FILE_INVALID,
        )
    return report


def _page_of() -> Callable[[Report], str]:
    """Return what makes a page. Raises CommandError where its libraries are not installed."""
    try:
        from tollkeeper_loadtest.reporting.page import page_of  # noqa: PLC0415 - slow to load
    except ImportError:
        raise extra_missing() from None
    return page_of
