"""gRPC ignores a channel argument that it does not know. So each that we name is looked for in the library itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc._cython import cygrpc

from tests.repo.tree import name, parse, python_files

LIBRARY = Path(cygrpc.__file__).read_bytes()
SERVICES = ("grpc.reflection.", "grpc.health.")
# What a name is made of, but for digits: the library has tables of digits that no zero ends.
OF_NAMES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.")


def is_known(argument: str) -> bool:
    """Say whether the library has this text as a whole: names end with a zero there."""
    text = argument.encode() + b"\0"
    place = LIBRARY.find(text)
    while place > 0 and LIBRARY[place - 1] in OF_NAMES:
        place = LIBRARY.find(text, place + 1)
    return place >= 0


def arguments(tree: ast.Module) -> Iterator[str]:
    """Every text that stands first in a pair and begins as gRPC's names do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == len(("name", "value")):
            first = node.elts[0]
            text = str(first.value) if isinstance(first, ast.Constant) else ""
            if text.startswith("grpc.") and not text.startswith(SERVICES):
                yield text


NAMED = [
    pytest.param(argument, id=f"{name(path)}: {argument}")
    for path in python_files("server", "clients/python", "tests")
    if '"grpc.' in path.read_text(encoding="utf-8")  # to parse all takes a second
    for argument in arguments(parse(path))
]


@pytest.mark.parametrize("argument", NAMED)
def test_a_channel_argument_is_one_that_grpc_knows(argument: str) -> None:
    assert is_known(argument)


@pytest.mark.parametrize(
    "file",
    [
        "server/tollkeeper/rpc/channel_arguments.py",
        "server/tollkeeper/cli/client.py",
        "server/tollkeeper/cli/health.py",
        "server/tollkeeper_loadtest/sending/grpc_transports.py",
        "clients/python/tollkeeper_client/connection.py",
    ],
)
def test_the_arguments_of_each_program_are_among_them(file: str) -> None:
    assert [each for each in NAMED if str(each.id).startswith(f"{file}: ")]


@pytest.mark.parametrize(
    "misspelt",
    [
        "grpc.http2.min_recv_ping_interval_without_data_ms",
        "grpc.keepalive_time",
        "keepalive_time_ms",
        "grpc.max_recieve_message_length",
        "grpc.max_receive_message_length_",
        "grpc.Max_concurrent_streams",
    ],
)
def test_a_misspelt_argument_is_not_known(misspelt: str) -> None:
    assert not is_known(misspelt)
