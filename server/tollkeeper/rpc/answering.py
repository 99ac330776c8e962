"""Stands between gRPC and the servicers: reads the request, answers or refuses, logs one line.

A `Refused` becomes the status that `status.py` says. Anything else that is raised becomes INTERNAL
with an incident number: the log has the traceback, the caller nothing of it. Requests are read and
answers written here and not by gRPC, which would tell a caller of a malformed one by class name.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.counts import Call
from tollkeeper.engine.lane import shutting_down
from tollkeeper.rpc.caller import KEEP_THE_CALLER, check_caller
from tollkeeper.rpc.status import INTERNAL, status_of, status_of_fault
from tollkeeper.v1.ledger_pb2 import AuthorizeResponse, DenialReason

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Generator,
        Mapping,
    )

    from google.rpc.status_pb2 import Status

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Unary: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
    Ended: TypeAlias = dict[str, int]
    """How many calls of a method have ended, by the name of their status code."""
    Stream: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]

log = logging.getLogger(__name__)

WATCHERS_MAX = 200
"""How many may watch one server, where it is not told."""

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


class Calls:
    """The calls of our services: how many are in flight and how others ended, and whether new ones are still taken.

    Watchers would never end by themselves: they are counted apart, up to a bound, and told when it is time.
    """

    __slots__ = (
        "_ended",
        "_watchers_max",
        "_when_closing",
        "closing",
        "in_flight",
        "refused",
        "watchers",
    )

    def __init__(self, watchers_max: int = WATCHERS_MAX) -> None:
        self.in_flight = 0
        self.refused = 0
        self.closing = False
        self.watchers = 0
        self._ended: dict[tuple[str, str, str], Ended] = {}
        self._watchers_max = watchers_max
        self._when_closing: set[Callable[[], object]] = set()

    def close(self) -> None:
        """Refuse new calls from now on, and tell those that would go on for ever."""
        self.closing = True
        for stop in tuple(self._when_closing):
            stop()

    @contextmanager
    def when_closing(self, stop: Callable[[], object]) -> Generator[None]:
        """Call `stop` if the shutdown begins within this block, which must soon end then."""
        self._when_closing.add(stop)
        try:
            yield
        finally:
            self._when_closing.discard(stop)

    async def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a watcher until it ends. Raises Refused where there are too many, or it is time to stop."""
        if self.closing:
            self.refused += 1
            work.close()
            raise shutting_down()
        if self.watchers >= self._watchers_max:
            work.close()
            raise Refused(Reason.OVERLOADED, f"{self._watchers_max} are watching already")
        self.watchers += 1
        task = asyncio.ensure_future(work)
        try:
            with self.when_closing(task.cancel):
                await asyncio.wait((task,))
            if task.cancelled():
                raise shutting_down()
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.watchers -= 1

    def ended(self, kind: str, service: str, method: str) -> Ended:
        """Return where the calls of a method are counted when they end."""
        return self._ended.setdefault((kind, service, method), {"OK": 0})

    def counted(self) -> dict[Call, int]:
        """Return how many calls have ended, by method and status code."""
        return {
            Call(*named, code): count
            for named, ended in self._ended.items()
            for code, count in ended.items()
        }

    def begin(self) -> None:
        """Count a call that has come. Raises Refused where the server is shutting down."""
        self.in_flight += 1
        if self.closing:
            self.refused += 1
            raise shutting_down()


class Answering:
    """Stands in for a server while a servicer is added to it, and hands on its methods wrapped.

    An interceptor would do, but gRPC asks it again at every call: 15 of 410 microseconds (measured).
    """

    def __init__(self, server: grpc.aio.Server, calls: Calls) -> None:
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


def _wrap(service: str, method: str, handler: Handler, calls: Calls) -> Handler:
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
    method: str, handler: Handler, calls: Calls, ended: Ended
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    """Wrap a method with one request and one answer. Hot: nothing is built that is not needed."""
    behaviour = cast("Unary", handler.unary_unary)
    checks_caller = method not in KEEP_THE_CALLER
    read = cast("Callable[[bytes], Any]", handler.request_deserializer)
    write = cast("Callable[[Any], bytes]", handler.response_serializer)

    async def answered(raw: bytes, context: Context) -> bytes:
        started_s = perf_counter() if log.isEnabledFor(logging.INFO) else None
        request = None
        try:
            calls.begin()
            if checks_caller:
                check_caller(context)
            request = read(raw)
            response = await behaviour(request, context)
            written = write(response)
            ended["OK"] += 1
        except asyncio.CancelledError:
            _count(ended, CANCELLED)
            _log(method, request, CANCELLED, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
            _count(ended, _CODES[status.code])
        else:
            if started_s is not None:
                _log(method, request, _name_of(response), started_s)
            return written
        finally:
            calls.in_flight -= 1
        _log(method, request, answer, started_s)
        return await _abort(context, status)

    return answered


def _stream(method: str, behaviour: Stream, calls: Calls, ended: Ended) -> Stream:
    async def answered(requests: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - gRPC's own iterator
        started_s = perf_counter() if log.isEnabledFor(logging.INFO) else None
        try:
            calls.begin()
            async for response in behaviour(requests, context):
                yield response
        except asyncio.CancelledError:
            _count(ended, CANCELLED)
            _log(method, None, CANCELLED, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
            _count(ended, _CODES[status.code])
        else:
            ended["OK"] += 1
            _log(method, None, "OK", started_s)
            return
        finally:
            calls.in_flight -= 1
        _log(method, None, answer, started_s)
        await _abort(context, status)

    return answered


def status_of_failure(method: str, error: Exception) -> Status:
    """Return the status of what an operation among others was refused with, or failed with."""
    return _failure(method, error)[1]


def _watch(
    method: str, handler: Handler, calls: Calls, ended: Ended
) -> Callable[[bytes, Context], Awaitable[None]]:
    """Wrap a method with one request and answers without end. Each is taken by the caller before the next is made."""
    behaviour = cast("Stream", handler.unary_stream)
    read = cast("Callable[[bytes], Any]", handler.request_deserializer)
    write = cast("Callable[[Any], bytes]", handler.response_serializer)

    async def send(request: object, context: Context) -> None:
        async for response in behaviour(request, context):
            await context.write(write(response))

    async def answered(raw: bytes, context: Context) -> None:
        started_s = perf_counter() if log.isEnabledFor(logging.INFO) else None
        request = None
        try:
            check_caller(context)
            request = read(raw)
            await calls.watch(send(request, context))
        except asyncio.CancelledError:
            _count(ended, CANCELLED)
            _log(method, request, CANCELLED, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            answer, status = _failure(method, error)
            _count(ended, _CODES[status.code])
        else:
            ended["OK"] += 1
            _log(method, request, "OK", started_s)
            return
        _log(method, request, answer, started_s)
        await _abort(context, status)

    return answered


def _count(ended: Ended, code: str) -> None:
    ended[code] = ended.get(code, 0) + 1


def _failure(method: str, error: Exception) -> tuple[str, Status]:
    """Return the reason of a failure, for the log, and its status, for the caller."""
    if isinstance(error, DecodeError):
        error = Refused(Reason.INVALID_FIELD, f"the request of {method} is malformed")
    if isinstance(error, Refused):
        return error.reason.value, status_of(error)
    incident = uuid4().hex[:8]
    log.error("internal error %s method=%s", incident, method, exc_info=error)
    return INTERNAL, status_of_fault(incident)


async def _abort(context: Context, status: Status) -> Any:  # noqa: ANN401 - it never returns
    wire = rpc_status.to_status(status)  # pyright: ignore[reportUnknownMemberType] -- untyped
    await context.abort(wire.code, wire.details, wire.trailing_metadata or ())


def _name_of(response: object) -> str:
    if isinstance(response, AuthorizeResponse) and response.HasField("denial"):
        return DenialReason.Name(response.denial.reason).removeprefix(_DENIAL_PREFIX)
    return "OK"


def _log(method: str, request: object, answer: str, started_s: float | None) -> None:
    if started_s is None:
        return
    ms = (perf_counter() - started_s) * 1_000
    log.info("rpc method=%s%s answer=%s ms=%.0f", method, _subject(request), answer, ms)


def _subject(request: object) -> str:
    for field, label in _SUBJECTS:
        value = getattr(request, field, "")
        if value:
            return f" {label}={value if _WORD.fullmatch(value) else ascii(value[:128])}"
    return ""
