"""Holds the documents to the code: what they list is what there is, in the same order."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.documents import (
    TICKED,
    anchors,
    documents,
    is_superseded,
    records,
    section,
    table,
    text_of,
    unticked,
)
from tests.repo.tree import CLIENT, ROOT, SERVER, files, name, parse, python_files, texts
from tollkeeper.config import Settings
from tollkeeper.core.credits import BALANCE_MAX, GRANT_MAX, PRICE_MAX
from tollkeeper.core.errors import Reason
from tollkeeper.core.usage import HTTP_STATUSES, DenialReason
from tollkeeper.core.validation.fields import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PRICES_MAX
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.rpc.services.batching import OPERATIONS_MAX
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.rpc.status import CODES

ERRORS = "docs/reference/errors.md"
RULES = "docs/reference/rules.md"

# What callers have been promised, written once more: the table in the server may not drift from it.
PROMISED = {
    "INVALID_FIELD": "INVALID_ARGUMENT",
    "IDEMPOTENCY_KEY_REUSED": "INVALID_ARGUMENT",
    "BATCH_TOO_LARGE": "INVALID_ARGUMENT",
    "ACCOUNT_NOT_FOUND": "NOT_FOUND",
    "RESERVATION_NOT_FOUND": "NOT_FOUND",
    "GRANT_NOT_FOUND": "NOT_FOUND",
    "PRICE_LIST_NOT_FOUND": "NOT_FOUND",
    "WEBHOOK_NOT_FOUND": "NOT_FOUND",
    "RECURRING_GRANT_NOT_FOUND": "NOT_FOUND",
    "TOKEN_NOT_FOUND": "NOT_FOUND",
    "ACCOUNT_EXISTS": "ALREADY_EXISTS",
    "RESERVATION_EXPIRED": "FAILED_PRECONDITION",
    "ALREADY_COMMITTED": "FAILED_PRECONDITION",
    "ALREADY_RELEASED": "FAILED_PRECONDITION",
    "NOT_COMMITTED": "FAILED_PRECONDITION",
    "REFUND_EXCEEDS_CHARGE": "FAILED_PRECONDITION",
    "ACCOUNT_NOT_EMPTY": "FAILED_PRECONDITION",
    "ACCOUNT_CLOSED": "FAILED_PRECONDITION",
    "TOO_MANY_RECURRING_GRANTS": "FAILED_PRECONDITION",
    "PRICES_BACKDATED": "FAILED_PRECONDITION",
    "TOKEN_NOT_ACTIVE": "FAILED_PRECONDITION",
    "TOKEN_MISSING": "UNAUTHENTICATED",
    "TOKEN_INVALID": "UNAUTHENTICATED",
    "SCOPE_MISSING": "PERMISSION_DENIED",
    "ACCOUNT_NOT_ALLOWED": "PERMISSION_DENIED",
    "OVERLOADED": "RESOURCE_EXHAUSTED",
    "STORE_UNAVAILABLE": "UNAVAILABLE",
    "SHUTTING_DOWN": "UNAVAILABLE",
    "NOT_SERVED": "UNIMPLEMENTED",
}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A file or folder of ours, as prose names it; patterns, and Google's protos, are not meant.
PATH = re.compile(r"(?!google/)(?:(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|proto|md))")
ROOTS = (ROOT, SERVER, CLIENT, ROOT / "tests", ROOT / "docs")

RECORD_SECTIONS = ["Context", "Decision", "Cost", "Turned down"]
RECORD_LINES_MAX = 45


def test_every_reason_is_documented_in_order_with_its_code() -> None:
    documented = [(unticked(row[0]), unticked(row[1])) for row in reasons()]

    assert documented == list(PROMISED.items())
    assert documented == [(reason.value, CODES[reason].name) for reason in Reason]


def test_a_reason_is_called_reserved_exactly_while_nothing_raises_it() -> None:
    reserved = {unticked(row[0]) for row in reasons() if row[2].startswith("reserved")}

    assert reserved == {reason.value for reason in Reason} - set(raised_reasons())


def test_every_denial_is_documented_in_the_order_in_which_authorize_looks() -> None:
    rows = table(section(text_of(ERRORS), "Denials of Authorize"))
    documented = [(int(row[0]), unticked(row[1]), int(row[2])) for row in rows]

    assert documented == [(each.value, each.name, HTTP_STATUSES[each]) for each in DenialReason]


def test_every_setting_is_documented_with_its_default() -> None:
    rows = table(section(text_of("docs/reference/settings.md"), "All settings"))

    assert [(unticked(row[0]), unticked(row[1])) for row in rows] == [
        (setting, {"None": "none", "False": "false"}.get(str(field.default), str(field.default)))
        for setting, field in Settings.model_fields.items()
    ]


def test_the_documented_bounds_are_those_of_the_code() -> None:
    bounds = {
        row[0]: row[1] for row in table(section(text_of("docs/reference/bounds.md"), "All bounds"))
    }
    engine, server = EngineSettings(), ServerSettings()

    for bound, documented in {
        "operations waiting in a lane": f"{engine.queue_max:,}, then OVERLOADED",
        "operations in one transaction": f"{engine.batch_max:,}",
        "a message": f"{server.message_bytes_max // 2**20} MiB",
        "the metadata of a call": f"{server.metadata_bytes_max // 2**10} KiB",
        "operations in a Batch, or unanswered in a Session": f"{OPERATIONS_MAX:,}",
        "the wait of the first operation in a lane where more than a transaction waits": (
            f"{engine.queue_for_s:.0f} s, then OVERLOADED"
        ),
        "operations of batches waiting in a lane": f"{engine.bulk_queue_max:,}, then OVERLOADED",
        "of those in one transaction": f"{engine.bulk_alone:,}, beside single calls {engine.bulk_beside:,}",
        "calls in flight on one connection": f"{server.streams_max:,}",
        "pings of a client that asks whether its connection is alive": (
            f"one every {server.ping_every_s:.0f} s, also while nothing is called"
        ),
        "prices in a list, buckets in an overview": f"{PRICES_MAX:,} each",
        "a page of a list": f"{PAGE_SIZE_MAX:,}, default {PAGE_SIZE_DEFAULT}",
        "a grant, a credit limit": f"{power_of_ten(GRANT_MAX)} credits",
        "a price": f"{power_of_ten(PRICE_MAX)} credits",
        "a settled balance": f"{power_of_ten(BALANCE_MAX)} credits either way",
        "a batch while the store cannot be reached": f"tried again for {engine.retry_for_s:.0f} s",
    }.items():
        assert bounds[bound] == documented


@pytest.mark.parametrize("document", documents(), ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = [link for link in links(document) if not leads_somewhere(document, link)]

    assert not dead


@pytest.mark.parametrize(
    "document", [each for each in documents() if not is_superseded(each)], ids=name
)
def test_every_file_that_is_named_is_there(document: Path) -> None:
    missing = [path for path in named_paths(document) if not is_there(document, path)]

    assert not missing


@pytest.mark.parametrize("folder", ["how-to", "reference"])
def test_every_page_is_in_the_index_of_its_part(folder: str) -> None:
    index = ROOT / "docs" / folder / "README.md"
    linked = {(index.parent / link).resolve() for link in links(index)}
    pages = [path for path in documents() if path.is_relative_to(index.parent)]

    assert [name(page) for page in pages if page != index and page not in linked] == []


def test_every_rule_that_is_cited_is_a_heading_of_the_page() -> None:
    rules = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", text_of(RULES), re.MULTILINE))
    cited = {
        (file, number)
        for file, text in texts()
        for number in re.findall(r"\b[Rr]ules (\d+(?:\.\d+)?)", text)
    }

    assert {number for _, number in cited} >= {"4.2", "10", "3.1"}
    assert sorted((file, number) for file, number in cited if number not in rules) == []


def test_the_rules_are_numbered_without_a_gap() -> None:
    sections = re.findall(r"^## (\d+)\. ", text_of(RULES), re.MULTILINE)
    below = re.findall(r"^### (\d+)\.(\d+) ", text_of(RULES), re.MULTILINE)

    assert sections == [str(number) for number in range(1, len(sections) + 1)]
    for section_number in {first for first, _ in below}:
        numbers = [second for first, second in below if first == section_number]
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("record", records(), ids=name)
def test_a_decision_record_has_its_sections(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    number = record.name[:4]

    assert re.match(rf"# {number}\. \S.*\n\nStatus: (accepted|superseded by \d{{4}})\n\n\*\*", text)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == RECORD_SECTIONS
    assert len(text.splitlines()) <= RECORD_LINES_MAX


def test_the_decisions_are_numbered_without_a_gap_and_indexed_in_order() -> None:
    names = [path.name for path in records()]
    titles = [path.read_text(encoding="utf-8").partition("\n")[0] for path in records()]
    indexed = table(text_of("docs/explanation/decisions/README.md"))

    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert [f"# {row[0][1:5]}. {row[1]}" for row in indexed] == titles
    assert [LINK.findall(row[0]) for row in indexed] == [[name] for name in names]


def test_stubs_can_be_made_as_the_clients_page_says(tmp_path: Path) -> None:
    found = re.search(
        r"^    (python -m grpc_tools.*\\\n.*)$", text_of("clients/README.md"), re.MULTILINE
    )
    assert found is not None
    script = found[1].replace("python ", f"{sys.executable} ").replace("=out", f"={tmp_path}")

    subprocess.run(["sh", "-c", script], check=True, cwd=ROOT)

    made = sorted(path.name for path in (tmp_path / "tollkeeper" / "v1").iterdir())
    assert "ledger_pb2.py" in made
    assert "ledger_pb2_grpc.py" in made


def reasons() -> list[list[str]]:
    return table(section(text_of(ERRORS), "Errors"))


def raised_reasons() -> Iterator[str]:
    """Name the reasons that the server uses anywhere but in its table of codes."""
    for path in python_files("server"):
        if path == SERVER / "rpc" / "status.py":
            continue
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason":
                yield node.attr


def power_of_ten(number: int) -> str:
    assert number == 10 ** (len(str(number)) - 1)
    return f"10^{len(str(number)) - 1}"


def links(document: Path) -> list[str]:
    found = LINK.findall(document.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def named_paths(document: Path) -> list[str]:
    text = re.sub(
        r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [ticked for ticked in TICKED.findall(text) if PATH.fullmatch(ticked)]


def is_there(document: Path, path: str) -> bool:
    known = set(files())
    for root in (document.parent, *ROOTS):
        target = (root / path).resolve()
        if target in known or any(file.is_relative_to(target) for file in known):
            return True
    return False
