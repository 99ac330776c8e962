"""The process of one generator: `python -m tollkeeper_loadtest.sending.generator_process`, started by `coordinator.py`.

Standard input is its end of a socket pair. It ends when the other end is closed, so none outlives its coordinator, and
it leaves signals to the coordinator.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import traceback
from contextlib import suppress

import uvloop

from tollkeeper import process
from tollkeeper.cli.failure import CommandError, ExitCode, Why
from tollkeeper_loadtest.sending.generator import Generator
from tollkeeper_loadtest.sending.grpc_transports import Connections, UnaryCalls
from tollkeeper_loadtest.sending.messages import (
    Begin,
    Broken,
    Done,
    Finish,
    Phase,
    Ready,
    Stop,
    receive_message,
    send_message,
)
from tollkeeper_loadtest.sending.modes import transport_of
from tollkeeper_loadtest.sending.resolve import resolve

READY_WITHIN_S = 30.0


def main() -> None:
    """Carry out the orders of the coordinator."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as ours:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(ours))
        except (EOFError, ConnectionError):
            return
        except CommandError as error:
            _break(ours, error)
        except Exception:  # noqa: BLE001 - the coordinator is told
            _break(ours, _unexpected())


def _unexpected() -> CommandError:
    """Return the exception that is being handled, with its traceback."""
    return CommandError(traceback.format_exc(), reason=Why.CANNOT_LOAD)


def _break(ours: socket.socket, error: CommandError) -> None:
    with suppress(OSError):
        send_message(ours, Broken(error.message, error.code, error.reason))


async def _serve(ours: socket.socket) -> None:
    first = await asyncio.to_thread(receive_message, ours)
    assert isinstance(first, Begin)  # noqa: S101 - the coordinator says it first
    settings = first.settings
    connections = Connections(first.address, settings, first.tls)
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await connections.ready()
    except TimeoutError:
        raise CommandError(
            f"no Tollkeeper server answers at {first.address}",
            ExitCode.NO_SERVER,
            reason=Why.SERVER_UNREACHABLE,
        ) from None
    transport = transport_of(connections, settings)
    generator = Generator(first.worker, settings, transport)
    process.settle_memory()
    send_message(ours, Ready())
    phase: asyncio.Task[None] | None = None
    while True:
        match await asyncio.to_thread(receive_message, ours):
            case Phase() as order:
                phase = asyncio.create_task(_carry_out(generator, order, ours))
            case Stop():
                generator.stop()
            case Finish(within_s):
                if phase is not None:
                    await phase
                calls = UnaryCalls(connections.stubs, settings.timeout_s)
                await resolve(generator.open, generator.checker, calls, within_s=within_s)
                send_message(ours, Done(generator.checker.tally))
                await transport.close()
                await connections.close()
                return
            case other:
                raise TypeError(other)


async def _carry_out(generator: Generator, phase: Phase, ours: socket.socket) -> None:
    try:
        send_message(
            ours, await generator.carry_out(phase, lambda second: send_message(ours, second))
        )
    except Exception:  # noqa: BLE001 - the coordinator is told
        _break(ours, _unexpected())


if __name__ == "__main__":
    main()
