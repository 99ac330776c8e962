"""Statements as other programs read them: the same entries in every form, whole, in constant memory."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import PRICES
from tests.cli.processes import Serving, environment_of, serving
from tests.cli.reports.journals import lengthen
from tests.support.thorough import thorough
from tollkeeper.cli.reports.entry_forms import write_jsonl
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

FORMS = ["csv", "jsonl", "json", "parquet"]
LENGTH = 2_500

MEASURED = """
import atexit, resource, sys
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
from tollkeeper.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Generator[Serving]:
    """A server with an account that was charged by hand, and one with a long journal."""
    folder = tmp_path_factory.mktemp("statements")
    with serving(folder, "--prices", str(PRICES)) as server:
        server.json("account", "create", "acme")
        server.json("grant", "acme", "1000", "--note", 'a "first", [gift]; ünï')
        for path in ("/v1/leads", "/v1/leads", "/v1/ip-lookup"):
            held = server.json("authorize", "acme", "GET", path)
            server.json("commit", held["reservation"]["reservation_id"], "--status", "200")
        server.json("account", "create", "long")
        lengthen(server, "long", LENGTH, start_us=now_us() - LENGTH * 2_000_000)
        yield server


def now_us() -> int:
    return time.time_ns() // 1_000


def exported(server: Serving, form: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Export a statement to a file and read it with another program's eyes."""
    file = folder / f"statement.{form}"
    ended = server.run("statement", *arguments, "--output", str(file))
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert [each.name for each in folder.iterdir()] == [file.name]
    return list(rows_of(file))


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        parquet: Any = pytest.importorskip("pyarrow.parquet")
        yield from parquet.read_table(file).to_pylist()
        return
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".csv":
        yield from csv.DictReader(text.splitlines())
    elif file.suffix == ".jsonl":
        yield from map(json.loads, text.splitlines())
    else:
        yield from json.loads(text)["entries"]


def kind_of(row: dict[str, Any]) -> str:
    return row["kind"].removeprefix("KIND_").lower()


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_every_entry_in_the_form_of_its_ending(
    form: str, used: Serving, tmp_path: Path
) -> None:
    printed = used.json("statement", "acme")["entries"]

    rows = exported(used, form, tmp_path, "acme")

    assert len(rows) == len(printed) == 4
    for row, entry in zip(rows, printed, strict=True):
        assert kind_of(row) == kind_of(entry)
        for name in ("sequence", "credits", "settled"):
            assert int(row[name]) == entry[name]
        for name in ("reservation_id", "grant_id", "method", "path", "note", "price_version"):
            assert str(row[name] or "") == str(entry[name] or "")
    assert rows[0]["note"] == 'a "first", [gift]; ünï'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_the_charges_of_an_export_add_up_to_the_overview(
    form: str, zone: str, used: Serving, tmp_path: Path
) -> None:
    overview = used.json("overview", "acme", "--zone", zone)
    period = ("--from", overview["start_time"], "--to", overview["end_time"])

    rows = exported(used, form, tmp_path, "acme", "--zone", zone, *period)

    charged: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if kind_of(row) in {"charge", "late_charge"}:
            charged[row["method"], row["path"]] -= int(row["credits"])
    assert sum(charged.values()) == overview["total"]["credits"] > 0
    assert charged == {
        (each["method"], each["path"]): each["usage"]["credits"] for each in overview["endpoints"]
    }


def test_json_lines_are_the_entries_of_the_json(used: Serving) -> None:
    lines = used.run("statement", "acme", "--jsonl").out.splitlines()

    assert list(map(json.loads, lines)) == used.json("statement", "acme")["entries"]


def test_json_that_is_written_bit_by_bit_is_as_any_other(used: Serving) -> None:
    for account in ("acme", "nothing"):
        if account == "nothing":
            used.json("account", "create", account)
        printed = used.run("statement", account, "--json").out

        assert printed == json.dumps(json.loads(printed), indent=2, ensure_ascii=False) + "\n"


def test_an_entry_is_written_as_every_other_answer_is() -> None:
    full = admin_pb2.Entry(
        sequence=2**60, kind=admin_pb2.Entry.KIND_CHARGE, credits=-10, note="ünï", price_version=1
    )
    full.create_time.FromMicroseconds(1_800_000_000_000_001)
    unknown = admin_pb2.Entry()
    unknown.ParseFromString(b"\x10\x63")
    entries = [full, admin_pb2.Entry(), unknown]
    out = io.StringIO()

    write_jsonl(entries, out)

    assert list(map(json.loads, out.getvalue().splitlines())) == list(map(to_dict, entries))


def test_parquet_has_types(used: Serving, tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "acme.data"

    ended = used.run("statement", "acme", "--zone", "Asia/Kolkata", "--parquet", str(file))

    assert (ended.code, ended.err) == (0, "")
    table = parquet.read_table(file)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["create_time"] == "timestamp[us, tz=UTC]"
    assert types["credits"] == types["settled"] == types["price_version"] == "int64"
    assert table.column("reservation_id").to_pylist()[0] is None
    assert table.column("price_version").to_pylist() == [None, 1, 1, 1]


@pytest.mark.parametrize("form", FORMS)
def test_a_long_statement_is_exported_page_by_page(
    form: str, used: Serving, tmp_path: Path
) -> None:
    rows = exported(used, form, tmp_path, "long")

    assert [int(row["sequence"]) for row in rows] == [*range(1, LENGTH + 1)]


def test_an_option_goes_before_the_ending(used: Serving, tmp_path: Path) -> None:
    file = tmp_path / "acme.txt"

    used.run("statement", "acme", "--csv", "--output", str(file))

    assert file.read_text(encoding="utf-8") == used.run("statement", "acme", "--csv").out


def test_without_pyarrow_parquet_names_the_extra(
    used: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    ended = used.run("statement", "acme", "--parquet", str(tmp_path / "acme.parquet"))

    assert (ended.code, ended.out) == (1, "")
    assert "pip install 'tollkeeper[parquet]'" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_was_there_stays_where_the_export_fails(
    form: str, used: Serving, tmp_path: Path
) -> None:
    file = tmp_path / f"nobody.{form}"
    file.write_text("older", encoding="utf-8")

    ended = used.run("statement", "nobody", "--output", str(file))

    assert (ended.code, ended.err) == (1, "there is no account nobody\n")
    assert [each.read_text(encoding="utf-8") for each in tmp_path.iterdir()] == ["older"]


def test_a_file_that_cannot_be_written_is_named(used: Serving, tmp_path: Path) -> None:
    ended = used.run("statement", "acme", "--output", str(tmp_path / "nowhere" / "a.csv"))

    assert ended.code == 1
    assert "a.csv: cannot be written: no such file or directory" in ended.err


@thorough
def test_a_terminal_sees_how_far_an_export_is(used: Serving, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tollkeeper", "statement", "long", "--jsonl"],
            stdout=out,
            stderr=theirs,
            env=environment_of({"TOLLKEEPER_SERVER": used.address, "TERM": "xterm"}),
        )
    os.close(theirs)
    seen = b"".join(read_to_end(ours))

    assert process.wait(timeout=60) == 0
    assert b"reading entries" in seen
    assert len((tmp_path / "out").read_bytes().splitlines()) == LENGTH


def read_to_end(terminal: int) -> Iterator[bytes]:
    try:
        while part := os.read(terminal, 4096):
            yield part
    except OSError:  # Linux says so that no process writes any more
        return
    finally:
        os.close(terminal)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet"])
def test_a_statement_of_any_length_takes_the_same_memory(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    with serving(tmp_path) as server:
        kib: list[int] = []
        served: list[int] = []
        for name, length in (("short", 60_000), ("long", 180_000)):
            server.json("account", "create", name)
            lengthen(server, name, length, start_us=now_us() - length * 2_000_000)
            kib.append(memory_of_export(server, name, tmp_path / f"{name}.{form}"))
            served.append(memory_of(server))

    # 120,000 entries more would be more than 100 MiB.
    assert kib[1] - kib[0] < 16 * 1024, kib
    assert served[1] - served[0] < 16 * 1024, served


def memory_of_export(server: Serving, account_id: str, file: Path) -> int:
    """The most memory that an export took, in KiB."""
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, "statement", account_id, "--output", str(file)],
        check=True,
        capture_output=True,
        text=True,
        timeout=250,
        env=environment_of({"TOLLKEEPER_SERVER": server.address}),
    )
    return int(finished.stderr.splitlines()[-1])


def memory_of(server: Serving) -> int:
    """The most memory that the server has taken so far, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
