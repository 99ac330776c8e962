"""Reflection under both names: what a tool learns of the server without a file, and that it can call by it."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.rpc.fakes import FakeEngine
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings

OURS = [
    "tollkeeper.v1.AdminService",
    "tollkeeper.v1.LedgerService",
    "tollkeeper.v1.WebhookService",
]
V1, V1ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"


@pytest.fixture
async def channel() -> AsyncGenerator[Any]:
    server = Server(FakeEngine().engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def asked(channel: Any, service: str, *requests: dict[str, Any]) -> list[Any]:
    """Ask on one stream; the answers are read as those of v1alpha, whose bytes are the same."""
    call = channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    messages = [reflection_pb2.ServerReflectionRequest(**fields) for fields in requests]
    return [answer async for answer in call(iter(messages))]


async def pool_of(channel: Any, service: str, symbol: str) -> descriptor_pool.DescriptorPool:
    """Build what a tool builds: a pool of its own of the files that describe a symbol."""
    (answer,) = await asked(channel, service, {"file_containing_symbol": symbol})
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(each)
        for each in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert files, answer
    pool: Any = descriptor_pool.DescriptorPool()
    added: set[str] = set()
    while left := [each for each in files if each.name not in added]:
        for each in left:
            if added.issuperset(each.dependency):
                pool.AddSerializedFile(each.SerializeToString())
                added.add(each.name)
    return pool


@pytest.mark.parametrize("service", [V1, V1ALPHA])
async def test_both_name_every_service_and_each_other(channel: Any, service: str) -> None:
    (answer,) = await asked(channel, service, {"list_services": ""})

    names = [each.name for each in answer.list_services_response.service]
    assert names == sorted([*OURS, "grpc.health.v1.Health", V1, V1ALPHA])


@pytest.mark.parametrize("service", [V1, V1ALPHA])
async def test_every_service_that_is_named_is_described(channel: Any, service: str) -> None:
    (listed,) = await asked(channel, service, {"list_services": ""})

    for each in listed.list_services_response.service:
        pool: Any = await pool_of(channel, service, each.name)
        assert pool.FindServiceByName(each.name).methods, each.name


@pytest.mark.parametrize("service", [V1, V1ALPHA])
async def test_a_service_can_be_called_by_its_description_alone(channel: Any, service: str) -> None:
    pool: Any = await pool_of(channel, service, "grpc.health.v1.Health")
    method = pool.FindServiceByName("grpc.health.v1.Health").methods_by_name["Check"]
    request = message_factory.GetMessageClass(method.input_type)(service=OURS[1])
    answer = message_factory.GetMessageClass(method.output_type)

    call = channel.unary_unary("/grpc.health.v1.Health/Check", None, answer.FromString)
    checked: Any = await call(request.SerializeToString())

    assert checked.status == health_pb2.HealthCheckResponse.SERVING


async def test_v1_can_be_asked_by_its_own_description(channel: Any) -> None:
    """As a tool does that knows v1 by its own proto: by that one's names, and not by those of v1alpha."""
    pool: Any = await pool_of(channel, V1, V1)
    described = pool.FindServiceByName(V1)
    (method,) = described.methods
    request = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    assert (method.client_streaming, method.server_streaming) == (True, True)
    assert described.file.name == "grpc/reflection/v1/reflection.proto"
    assert request.DESCRIPTOR.full_name == "grpc.reflection.v1.ServerReflectionRequest"

    call = channel.stream_stream(
        f"/{V1}/{method.name}", request.SerializeToString, answer.FromString
    )
    asked_for = [request(file_by_filename="tollkeeper/v1/ledger.proto"), request()]
    first, second = [each async for each in call(iter(asked_for))]

    files = [
        descriptor_pb2.FileDescriptorProto.FromString(each).name
        for each in first.file_descriptor_response.file_descriptor_proto
    ]
    assert files[0] == "tollkeeper/v1/ledger.proto"
    assert "google/rpc/status.proto" in files
    assert second.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_what_is_not_there_is_not_found(channel: Any) -> None:
    (answer,) = await asked(channel, V1, {"file_containing_symbol": "tollkeeper.v1.No"})

    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
