"""A report as one page: everything is in it, so that it can be mailed, and nothing is fetched."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, cast

from tollkeeper.cli.load.plots import plots_of
from tollkeeper.cli.load.summary import (
    COLUMNS,
    NAMES,
    check_words,
    found_words,
    loop_words,
    ms,
    warnings,
)
from tollkeeper.cli.terminal.screen import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.cli.load.report import Report

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5d6b7c; --paper: #fbfcfd; --card: #fff;
  --rule: #dde3ea; --good: #14804a; --bad: #c02626;
  --c0: #2563c9; --c1: #d97706; --c2: #0f8f7e; --c3: #c02626; --c4: #8145c9; --c5: #64748b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --dim: #93a1b3; --paper: #12161c;
  --card: #1a2029; --rule: #2e3742; --good: #4ccb8a; --bad: #ff7b72;
  --c0: #6ea8ff; --c1: #f5b14c; --c2: #4fd1bd; --c3: #ff7b72; --c4: #c4a0ff; --c5: #94a3b8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 920px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 2px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 6px 0; } .dim { color: var(--dim); }
.verdict { border-left: 4px solid var(--good); background: var(--card); padding: 10px 14px; margin: 16px 0; }
.verdict.bad { border-color: var(--bad); } .verdict strong { color: var(--good); }
.verdict.bad strong { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 20px; white-space: nowrap; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
figure { margin: 18px 0 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 12px 14px 6px; }
figcaption { font-weight: 600; } .legend { font-size: 13px; color: var(--dim); }
.key { margin-right: 16px; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 18px; height: 3px; margin-right: 6px;
  vertical-align: middle; background: currentColor; border-radius: 2px; }
svg { display: block; width: 100%; height: auto; }
polyline { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
circle { fill: currentColor; }
.grid { stroke: var(--rule); stroke-width: 1; }
text { fill: var(--dim); font: 12px system-ui, sans-serif; }
.tick.x, .name { text-anchor: middle; } .tick.y { text-anchor: end; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
.c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--rule); }
th { color: var(--dim); font-weight: 600; font-size: 13px; }
th:first-child, td:first-child, .text th, .text td { text-align: left; }
.text td { overflow-wrap: anywhere; } .text td:first-child { white-space: nowrap; }
"""


def page_of(report: Report) -> str:
    """Return the page."""
    run = report["run"]
    title = f"Load test {run['id']}"
    parts = [
        _heading(title, report),
        _verdict(report),
        _tiles(report),
        *(f'<p class="dim">Note: {escape(line)}.</p>' for line in warnings(report)),
        *plots_of(report),
        _latencies(report),
        _counted("Errors", "reason", report["load"]["errors"]),
        _counted("Repeated by the client", "reason", report["load"]["repeats"]),
        _counted("Denials", "reason", report["load"]["denials"]),
        _search(report["find_max"]),
        _mismatches(report["check"]["mismatches"]),
        _settings(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "".join(parts)
        + "</main></body></html>\n"
    )


def _heading(title: str, report: Report) -> str:
    run = report["run"]
    where = "a server of its own" if run["own_server"] else run["server"]
    database = f" on {run['database']}" if run["database"] else ""
    return (
        f'<h1>{escape(title)}</h1><p class="dim">{escape(run["begun"])} to {escape(run["ended"])}, '
        f"{escape(where)}{escape(database)}; {escape(run['machine'])}; "
        f"tollkeeper {escape(run['tollkeeper'])}</p>"
        f"<p>{escape(loop_words(report['settings']).capitalize())}.</p>"
    )


def _verdict(report: Report) -> str:
    check = report["check"]
    agrees = "agrees" if check["good"] else "does not agree"
    lines = [f"<strong>The ledger {agrees}.</strong> {escape(check_words(check))}."]
    if report["find_max"]:
        lines.append(f"{escape(found_words(report['find_max']).capitalize())}.")
    for each in report["targets"]:
        verdict = "met" if each["met"] else "<strong>missed</strong>"
        lines.append(
            f"{escape(each['name'])} {each['asked']:g}: {each['reached']:,.1f}, {verdict}."
        )
    kind = "" if report["good"] else " bad"
    return f'<div class="verdict{kind}">' + "".join(f"<p>{line}</p>" for line in lines) + "</div>"


def _tiles(report: Report) -> str:
    load, latencies = report["load"], report["latency_us"]
    tiles = [
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
    cells = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _latencies(report: Report) -> str:
    rows = [
        (name, *(ms(found[column]) for column in COLUMNS))
        for kind, name in NAMES.items()
        if (found := report["latency_us"].get(kind, {})).get("count")
    ]
    return _table("Latencies in milliseconds", ("", *COLUMNS), rows) if rows else ""


def _counted(title: str, name: str, counted: dict[str, int]) -> str:
    rows = [(reason, amount(number)) for reason, number in counted.items()]
    return _table(title, (name, "number"), rows) if rows else ""


def _search(found: Report | None) -> str:
    if not found:
        return ""
    rows = [
        (
            f"{each['rate']:,.1f}",
            f"{each['reached']:,.1f}",
            ms(each["authorize_p99_us"]),
            ms(each["settle_p99_us"]),
            "kept" if each["kept"] else each["why_not"],
        )
        for each in found["trials"]
    ]
    head = ("requests a second", "carried", "p99 Authorize, ms", "p99 Commit, Release, ms", "")
    return _table("Trials, in order", head, rows)


def _mismatches(found: Sequence[dict[str, str]]) -> str:
    rows = [
        tuple(each[name] for name in ("account", "what", "expected", "found")) for each in found
    ]
    head = ("account", "what", "acknowledged", "the ledger says")
    return _table("Mismatches", head, rows, text=True) if rows else ""


def _settings(report: Report) -> str:
    rows = [
        (name, _words(value)) for name, value in report["settings"].items() if value is not None
    ]
    return _table("Settings", ("name", "value"), rows, text=True)


def _words(value: object) -> str:
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return ", ".join(f"{name}: {each}" for name, each in named.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, text: bool = False
) -> str:
    cells = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows
    )
    kind = ' class="text"' if text else ""
    return (
        f'<h2>{escape(title)}</h2><div class="scroll"><table{kind}>'
        f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )
