"""Server reflection, under both names that tools ask by: grpc.reflection.v1, and v1alpha before it.

The messages of the two are the same on the wire, and grpcio-reflection has v1alpha alone: so its servicer answers for
both, and the description of v1 is that of v1alpha under its new name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

_OLD, _NEW = "grpc.reflection.v1alpha", "grpc.reflection.v1"
_FILE = "grpc/reflection/v1/reflection.proto"
_METHOD = "ServerReflectionInfo"

SERVICE_NAMES = (f"{_NEW}.ServerReflection", reflection.SERVICE_NAME)


def add_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Describe these services, and reflection itself, to the clients of the server."""
    _describe_v1()
    servicer: Any = reflection.aio.ReflectionServicer((*services, *SERVICE_NAMES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(name, {_METHOD: handler}) for name in SERVICE_NAMES
        )
    )


def _describe_v1() -> None:
    """Add the description of v1 to those that reflection answers from, once."""
    pool: Any = descriptor_pool.Default()
    try:
        pool.FindFileByName(_FILE)
    except KeyError:
        pool.AddSerializedFile(_v1().SerializeToString())


def _v1() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto()
    cast("Any", reflection_pb2.DESCRIPTOR).CopyToProto(file)
    file.name, file.package = _FILE, _NEW
    file.ClearField("options")  # packages of other languages, which are those of v1alpha
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = _renamed(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
    return file


def _renamed(name: str) -> str:
    """Return the name of a type of v1alpha as it is in v1."""
    return name.replace(f".{_OLD}.", f".{_NEW}.")
