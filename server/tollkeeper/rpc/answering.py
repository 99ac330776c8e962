"""Stands between gRPC and the servicers: reads the request, answers or refuses, logs one line.

A `Refused` becomes the status that `status.py` says. Anything else that is raised becomes INTERNAL
with an incident number: the log has the traceback, the caller nothing of it. Requests are read and
answers written here and not by gRPC, which would tell a caller of a malformed one by class name.
"""

from __future__ import annotations

import asyncio
import logging
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.histograms import CALL_S, Histogram
from tollkeeper.rpc.caller import KEEP_THE_CALLER, check_caller
from tollkeeper.rpc.calls import CallTracker, cut_off
from tollkeeper.rpc.status import INTERNAL, pushback_of, status_of, status_of_fault
from tollkeeper.v1.ledger_pb2 import AuthorizeResponse, DenialReason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from google.rpc.status_pb2 import Status

    from tollkeeper.rpc.calls import Ended

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Unary: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
    Stream: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]

log = logging.getLogger(__name__)

CANCELLED = grpc.StatusCode.CANCELLED.name
_CODES = {cast("tuple[int, str]", each.value)[0]: each.name for each in grpc.StatusCode}

_DENIAL_PREFIX = "DENIAL_REASON_"
_SUBJECTS = (
    ("account_id", "account"),
    ("reservation_id", "reservation"),
    ("webhook_id", "webhook"),
    ("request_id", "key"),
)
_WORD = re.compile(r"[!-~]{1,128}")


class Answering:
    """Stands in for a server while a servicer is added to it, and hands on its methods wrapped.

    An interceptor would do, but gRPC asks it again at every call: 15 of 410 microseconds (measured).
    """

    def __init__(self, server: grpc.aio.Server, calls: CallTracker) -> None:
        self._server = server
        self._calls = calls

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Take the methods of one service."""
        wrapped = {
            name: _wrap(service, name, handler, self._calls) for name, handler in handlers.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, wrapped),)
        )

    def add_generic_rpc_handlers(self, generic_rpc_handlers: object) -> None:
        """Leave the same methods, which generated code adds in this form too."""


def _wrap(service: str, method: str, handler: Handler, calls: CallTracker) -> Handler:
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(
            cast("Any", _unary(method, handler, calls, calls.ended("unary", service, method)))
        )
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(
            cast(
                "Any", _watch(method, handler, calls, calls.ended("server_stream", service, method))
            )
        )
    return grpc.stream_stream_rpc_method_handler(
        cast(
            "Any",
            _stream(
                method,
                cast("Stream", handler.stream_stream),
                calls,
                calls.ended("bidi_stream", service, method),
            ),
        ),
        handler.request_deserializer,
        handler.response_serializer,
    )


def _unary(
    method: str, handler: Handler, calls: CallTracker, ended: Ended
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    """Wrap a method with one request and one answer. Hot: nothing is built that is not needed."""
    behaviour = cast("Unary", handler.unary_unary)
    checks_caller = method not in KEEP_THE_CALLER
    read = cast("Callable[[bytes], Any]", handler.request_deserializer)
    write = cast("Callable[[Any], bytes]", handler.response_serializer)

    async def answered(raw: bytes, context: Context) -> bytes:
        started_s = perf_counter()
        request = None
        task = calls.begin()
        calls.note_client(context)
        try:
            if calls.closing:
                await calls.refuse()
            if checks_caller:
                check_caller(context)
            request = read(raw)
            response = await behaviour(request, context)
            written = write(response)
            if calls.closing:
                await calls.wait()
            ended["OK"].add(perf_counter() - started_s)
        except asyncio.CancelledError:
            if not calls.cut:
                _count(ended, CANCELLED, started_s)
                _log(method, request, CANCELLED, started_s)
                raise
            answer, status = _failure(method, cut_off())
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
        else:
            if log.isEnabledFor(logging.INFO):
                _log(method, request, _name_of(response), started_s)
            return written
        finally:
            calls.end(task)
        _count(ended, _CODES[status.code], started_s)
        _log(method, request, answer, started_s)
        with calls.refusing():
            return await _abort(context, status, calls)

    return answered


def _stream(method: str, behaviour: Stream, calls: CallTracker, ended: Ended) -> Stream:
    async def answered(requests: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - gRPC's own iterator
        started_s = perf_counter()
        task = calls.begin()
        calls.note_client(context)
        try:
            if calls.closing:
                await calls.refuse()
            async for response in behaviour(requests, context):
                yield response
            await calls.wait()
        except asyncio.CancelledError:
            if not calls.cut:
                _count(ended, CANCELLED, started_s)
                _log(method, None, CANCELLED, started_s)
                raise
            answer, status = _failure(method, cut_off())
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
        else:
            ended["OK"].add(perf_counter() - started_s)
            _log(method, None, "OK", started_s)
            return
        finally:
            calls.end(task)
        _count(ended, _CODES[status.code], started_s)
        _log(method, None, answer, started_s)
        await _abort(context, status, calls)

    return answered


def status_of_failure(method: str, error: Exception) -> Status:
    """Return the status of what an operation among others was refused with, or failed with."""
    return _failure(method, error)[1]


def _watch(
    method: str, handler: Handler, calls: CallTracker, ended: Ended
) -> Callable[[bytes, Context], Awaitable[None]]:
    """Wrap a method with one request and answers without end. Each is taken by the caller before the next is made."""
    behaviour = cast("Stream", handler.unary_stream)
    read = cast("Callable[[bytes], Any]", handler.request_deserializer)
    write = cast("Callable[[Any], bytes]", handler.response_serializer)

    async def send(request: object, context: Context) -> None:
        async for response in behaviour(request, context):
            await context.write(write(response))

    async def answered(raw: bytes, context: Context) -> None:
        started_s = perf_counter()
        request = None
        calls.note_client(context)
        try:
            check_caller(context)
            request = read(raw)
            await calls.watch(send(request, context))
            await calls.wait()
        except asyncio.CancelledError:
            _count(ended, CANCELLED, started_s)
            _log(method, request, CANCELLED, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
        else:
            ended["OK"].add(perf_counter() - started_s)
            _log(method, request, "OK", started_s)
            return
        _count(ended, _CODES[status.code], started_s)
        _log(method, request, answer, started_s)
        await _abort(context, status, calls)

    return answered


def _count(ended: Ended, code: str, started_s: float) -> None:
    took = ended.get(code)
    if took is None:
        took = ended[code] = Histogram(CALL_S)
    took.add(perf_counter() - started_s)


def _failure(method: str, error: Exception) -> tuple[str, Status]:
    """Return the reason of a failure, for the log, and its status, for the caller."""
    if isinstance(error, DecodeError):
        error = Refused(Reason.INVALID_FIELD, f"the request of {method} is malformed")
    if isinstance(error, Refused):
        return error.reason.value, status_of(error)
    incident = uuid4().hex[:8]
    log.error("internal error %s method=%s", incident, method, exc_info=error)
    return INTERNAL, status_of_fault(incident)


async def _abort(context: Context, status: Status, calls: CallTracker) -> Any:  # noqa: ANN401 - it never returns
    await calls.wait()
    wire = rpc_status.to_status(status)  # pyright: ignore[reportUnknownMemberType] -- untyped
    trailers = (*(wire.trailing_metadata or ()), *pushback_of(status))
    await context.abort(wire.code, wire.details, trailers)


def _name_of(response: object) -> str:
    if isinstance(response, AuthorizeResponse) and response.HasField("denial"):
        return DenialReason.Name(response.denial.reason).removeprefix(_DENIAL_PREFIX)
    return "OK"


def _log(method: str, request: object, answer: str, started_s: float) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    ms = (perf_counter() - started_s) * 1_000
    log.info("rpc method=%s%s answer=%s ms=%.0f", method, _subject(request), answer, ms)


def _subject(request: object) -> str:
    for field, label in _SUBJECTS:
        value = getattr(request, field, "")
        if value:
            return f" {label}={value if _WORD.fullmatch(value) else ascii(value[:128])}"
    return ""
