"""A report as one page: everything is in it, so that it can be mailed, and nothing is fetched.

`templates` has how the page looks; here is what stands on it. Jinja escapes every text; only the charts, which our own
code has drawn, are markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tollkeeper.cli.terminal.screen import amount
from tollkeeper_loadtest.reporting.charts import charts_of
from tollkeeper_loadtest.reporting.summary import (
    COLUMNS,
    NAMES,
    check_words,
    loop_words,
    ms,
    search_words,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper_loadtest.reporting.report import Report

TEXT = "text"
"""The class of a table of words; the others are of figures."""


class Section(NamedTuple):
    """A table of the page under its title."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = ""


def page_of(report: Report) -> str:
    """Return the page."""
    search = report["find_max"]
    return _template("report.html.j2").render(
        title=f"Load test {report['run']['id']}",
        run=report["run"],
        good=report["good"],
        check=report["check"],
        targets=report["targets"],
        loop=loop_words(report["settings"]).capitalize(),
        checked=check_words(report["check"]),
        searched=search_words(search).capitalize() if search else "",
        tiles=_tiles(report),
        notes=warnings(report),
        charts=[
            {"title": chart.title, "svg": Markup(chart.svg())}  # noqa: S704 - vl-convert escapes it
            for chart in charts_of(report)
        ],
        tables=[section for section in _sections(report) if section.rows],
    )


def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader(__package__ or ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _tiles(report: Report) -> list[tuple[str, str]]:
    load, latencies = report["load"], report["latency_us"]
    return [
        (f"{load['pairs_per_s']:,.0f}", "pairs a second"),
        (f"{load['operations_per_s']:,.0f}", "operations a second"),
        *(
            (f"{ms(latencies[kind]['p99'])}\N{NO-BREAK SPACE}ms", f"p99, {NAMES[kind]}")
            for kind in ("authorize", "settle")
            if latencies.get(kind, {}).get("count")
        ),
        (amount(sum(load["errors"].values())), "errors"),
        (amount(sum(load["denials"].values())), "denied"),
    ]


def _sections(report: Report) -> Iterator[Section]:
    load = report["load"]
    yield _latencies(report["latency_us"])
    yield _counted("Errors", load["errors"])
    yield _counted("Repeated by the client", load["repeats"])
    yield _counted("Denials", load["denials"])
    yield _trials(report["find_max"])
    yield _mismatches(report["check"]["mismatches"])
    yield _generators(load)
    yield _settings(report["settings"])


def _latencies(latencies: dict[str, dict[str, int]]) -> Section:
    rows = [
        (name, *(ms(of_kind[column]) for column in COLUMNS))
        for kind, name in NAMES.items()
        if (of_kind := latencies.get(kind, {})).get("count")
    ]
    return Section("Latencies in milliseconds", ("", *COLUMNS), rows)


def _counted(title: str, counted: dict[str, int]) -> Section:
    rows = [(reason, amount(number)) for reason, number in counted.items()]
    return Section(title, ("reason", "number"), rows)


def _generators(load: Report) -> Section:
    costs = (
        ("processor time of a pair", load["generator_us_per_pair"]),
        ("of it the load test's own", load["own_us_per_pair"]),
    )
    rows = [
        *((name, f"{cost:,.1f} µs") for name, cost in costs if cost is not None),
        *((f"generator {number}", f"{share:.0%}") for number, share in enumerate(load["busy"], 1)),
    ]
    return Section("Generators", ("", "used"), rows)


def _trials(search: Report | None) -> Section:
    rows = [
        (
            f"{each['rate']:,.1f}",
            f"{each['reached']:,.1f}",
            ms(each["authorize_p99_us"]),
            ms(each["settle_p99_us"]),
            "kept" if each["kept"] else each["why_not"],
        )
        for each in (search["trials"] if search else ())
    ]
    head = ("requests a second", "carried", "p99 Authorize, ms", "p99 Commit, Release, ms", "")
    return Section("Trials, in order", head, rows)


def _mismatches(mismatches: Iterable[dict[str, str]]) -> Section:
    names = ("account", "what", "expected", "found")
    rows = [[each[name] for name in names] for each in mismatches]
    return Section("Mismatches", ("account", "what", "acknowledged", "the ledger says"), rows, TEXT)


def _settings(settings: dict[str, object]) -> Section:
    rows = [(name, _words(value)) for name, value in settings.items() if value is not None]
    return Section("Settings", ("name", "value"), rows, TEXT)


def _words(value: object) -> str:
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return ", ".join(f"{name}: {each}" for name, each in named.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
