"""Calls by the library that made them: told apart as far as that is bounded."""

import pytest

from tollkeeper.engine.counts import CLIENTS_MAX, OTHER_CLIENT, Client
from tollkeeper.rpc.client_versions import LIBRARIES, ClientVersions, client_of


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        (
            "grpc-python-asyncio/1.85.1 grpc-c/53.0.0 (linux; chttp2)",
            ("grpc-python-asyncio", "1.85"),
        ),
        ("grpc-go/1.70.0-dev", ("grpc-go", "1.70")),
        ("grpc-node-js/1.12.6", ("grpc-node-js", "1.12")),
        ("grpc-c++/1.62.0 grpc-c/39.0.0 (osx; chttp2)", ("grpc-c++", "1.62")),
        ("acme-gateway/7.1 grpc-go/1.70.0", ("grpc-go", "1.70")),
        ("tollkeeper-python/0.1.0 grpc-python/1.85.1", ("tollkeeper-python", "0.1")),
        ("grpc-go/01.007", ("grpc-go", "1.7")),
        ("acme-gateway/7.1", OTHER_CLIENT),
        ("grpc-go", OTHER_CLIENT),
        ("grpc-go/1", OTHER_CLIENT),
        ("grpc-go/1000.1", OTHER_CLIENT),
        ("xgrpc-go/1.1", OTHER_CLIENT),
        ("", OTHER_CLIENT),
        ("x" * 300 + " grpc-go/1.1", OTHER_CLIENT),
    ],
)
def test_a_client_is_a_known_library_and_major_minor(agent: str, client: tuple[str, str]) -> None:
    assert client_of(agent) == client


def test_a_call_without_a_user_agent_is_of_another_client() -> None:
    clients = ClientVersions()

    clients.note(None)
    clients.note((("tollkeeper-caller", "eu-7"), ("user-agent-bin", b"grpc-go/1.1")))

    assert clients.counted() == {OTHER_CLIENT: 2}


def test_no_caller_makes_labels_without_bound() -> None:
    clients = ClientVersions()

    for number in range(1_000):
        for library in ("grpc-go", "no-library", f"invented-{number}"):
            clients.note((("user-agent", f"{library}/{number}.0"),))

    counted = clients.counted()
    assert len(counted) == CLIENTS_MAX
    assert sum(counted.values()) == 3_000
    assert {each.library for each in counted} <= LIBRARIES | {OTHER_CLIENT.library}
    assert counted[Client("grpc-go", "0.0")] == 1
