"""Holds the wire form to what clients were promised, and the generated code to the protos."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from tests.repo.tree import CLIENT, GENERATED, ROOT, SCRIPTS
from tollkeeper.core.errors import FieldViolation, Reason, Refused
from tollkeeper.rpc.server import SERVICES
from tollkeeper.rpc.status import status_of, status_of_fault

PROTO = ROOT / "proto"
OPTION = re.compile(r"^option (\w+) = (.*);$", re.MULTILINE)
PACKAGES = {
    "csharp_namespace": '"Tollkeeper.V1"',
    "go_package": '"tollkeeper/v1;tollkeeperv1"',
    "java_multiple_files": "true",
    "java_package": '"tollkeeper.v1"',
    "objc_class_prefix": '"TKP"',
    "php_metadata_namespace": '"Tollkeeper\\\\V1\\\\GPBMetadata"',
    "php_namespace": '"Tollkeeper\\\\V1"',
    "ruby_package": '"Tollkeeper::V1"',
}
LEDGER = "tollkeeper/v1/ledger.proto"
ADMIN = "tollkeeper/v1/admin.proto"


def test_the_generated_code_is_fresh() -> None:
    finished = generate("--check")

    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_stale_generated_code_is_named(tmp_path: Path) -> None:
    shutil.copytree(PROTO, tmp_path / "proto")
    shutil.copytree(GENERATED, tmp_path / "server" / "tollkeeper" / "v1")
    client = CLIENT.relative_to(ROOT) / "v1"
    shutil.copytree(ROOT / client, tmp_path / client)
    (tmp_path / "server" / "tollkeeper" / "v1" / "left_over_pb2.py").touch()
    edit(tmp_path / "proto" / LEDGER, "string note = 7;", "string remark = 7;")

    finished = generate("--check", script=tmp_path / "proto" / "generate.py")

    assert finished.returncode == 1
    assert "v1/ledger_pb2.pyi is stale; run `make generate`" in finished.stdout
    assert "v1/left_over_pb2.py is stale" in finished.stdout
    assert f"{client}/ledger_pb2.pyi is stale" in finished.stdout
    assert "admin_pb2" not in finished.stdout


def test_the_protos_are_lint_free(tmp_path: Path) -> None:
    finished = buf("lint", image_of(PROTO, tmp_path))

    assert finished.returncode == 0, finished.stdout


def test_the_protos_break_no_client(tmp_path: Path) -> None:
    finished = breaking(image_of(PROTO, tmp_path))

    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        (LEDGER, "  bool late = 5;\n", "", 'field "5" with name "late"'),
        (LEDGER, "bool late = 5;", "bool late = 15;", 'field "5" with name "late"'),
        (LEDGER, "bool late = 5;", "bool belated = 5;", 'name from "late" to "belated"'),
        (LEDGER, "bool late = 5;", "string late = 5;", 'type from "bool" to "string"'),
        (LEDGER, "  OUTCOME_CANCELLED = 7;\n", "", 'enum value "7"'),
        (ADMIN, "  rpc Refund(RefundRequest) returns (RefundResponse);\n", "", '"Refund"'),
    ],
    ids=["delete", "renumber", "rename", "retype", "delete an enum value", "delete a method"],
)
def test_a_change_that_breaks_a_client_is_found(
    file: str, old: str, new: str, finding: str, tmp_path: Path
) -> None:
    shutil.copytree(PROTO / "tollkeeper", tmp_path / "tollkeeper")
    edit(tmp_path / file, old, new)

    finished = breaking(image_of(tmp_path, tmp_path))

    assert finished.returncode != 0
    assert finding in finished.stdout


def test_a_new_field_breaks_nobody(tmp_path: Path) -> None:
    shutil.copytree(PROTO / "tollkeeper", tmp_path / "tollkeeper")
    edit(tmp_path / LEDGER, "bool late = 5;", "bool late = 5;\n  bool brand_new = 100;")

    finished = breaking(image_of(tmp_path, tmp_path))

    assert finished.returncode == 0, finished.stdout


def test_the_contract_describes_every_detail_of_every_error() -> None:
    contract = descriptor_pb2.FileDescriptorSet.FromString((PROTO / "contract.binpb").read_bytes())
    described = {
        f"{file.package}.{message.name}" for file in contract.file for message in file.message_type
    }
    fields = [FieldViolation("account_id", "is not set")]
    statuses = [status_of(Refused(reason, "no", fields=fields)) for reason in Reason]
    statuses.append(status_of_fault("4f1c"))

    sent = {each.type_url.partition("/")[2] for status in statuses for each in status.details}

    assert sent == {"google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"}
    assert sent | {"google.rpc.Status"} <= described


def test_the_contract_is_whole_and_has_every_service() -> None:
    contract = descriptor_pb2.FileDescriptorSet.FromString((PROTO / "contract.binpb").read_bytes())
    pool: Any = descriptor_pool.DescriptorPool()

    for file in contract.file:  # each after what it imports, as a transcoder needs it
        pool.AddSerializedFile(file.SerializeToString())

    for service in SERVICES:
        assert pool.FindServiceByName(service).methods


def test_every_proto_names_the_same_package_in_each_language() -> None:
    options: dict[str, set[tuple[str, str]]] = {
        file.name: set(OPTION.findall(file.read_text(encoding="utf-8")))
        for file in (PROTO / "tollkeeper" / "v1").glob("*.proto")
    }
    ours = {name: each - {outer_class_of(name)} for name, each in options.items()}

    assert {frozenset(each) for each in ours.values()} == {frozenset(PACKAGES.items())}
    assert all(outer_class_of(name) in each for name, each in options.items())


def outer_class_of(file: str) -> tuple[str, str]:
    return "java_outer_classname", f'"{file.removesuffix(".proto").capitalize()}Proto"'


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is no longer there once"
    file.write_text(text.replace(old, new), encoding="utf-8")


def image_of(proto: Path, folder: Path) -> Path:
    image = folder / "image.binpb"
    finished = generate("--image", str(image), "--proto", str(proto))
    assert finished.returncode == 0, finished.stderr
    return image


def generate(
    *arguments: str, script: Path = PROTO / "generate.py"
) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, str(script), *arguments])


def breaking(image: Path) -> subprocess.CompletedProcess[str]:
    return buf("breaking", image, f"--against={PROTO / 'contract.binpb'}")


def buf(verb: str, image: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return run([str(SCRIPTS / "buf"), verb, str(image), f"--config={PROTO / 'buf.yaml'}", *flags])


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)
