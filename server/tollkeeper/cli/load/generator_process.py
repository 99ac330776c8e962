"""The process of one generator: `python -m tollkeeper.cli.load.generator_process`, started by `crew`.

Standard input is its end of a socket pair. It ends when the other end is closed, so none outlives its crew, and leaves
signals to the crew.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import uvloop

from tollkeeper import process
from tollkeeper.cli.failure import CommandError, ExitCode, Why
from tollkeeper.cli.load.generator import Generator
from tollkeeper.cli.load.messages import Begin, Broken, Done, Finish, Phase, Ready, Stop, hear, say
from tollkeeper.cli.load.resolve import resolve
from tollkeeper.cli.load.transport import Calls, Connections, transport_of

if TYPE_CHECKING:
    from typing import BinaryIO

READY_WITHIN_S = 30.0


def main() -> None:
    """Carry out what the crew asks for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as ours, ours.makefile("rb") as orders:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(ours, orders))
        except (EOFError, ConnectionError):
            return
        except CommandError as error:
            _break(ours, error)
        except Exception:  # noqa: BLE001 - the crew is told
            _break(ours, _unexpected())


def _unexpected() -> CommandError:
    """Return the fault that is being handled, for whoever mends it."""
    return CommandError(traceback.format_exc(), reason=Why.CANNOT_LOAD)


def _break(ours: socket.socket, error: CommandError) -> None:
    with suppress(OSError):
        say(ours, Broken(error.message, error.code, error.reason))


async def _serve(ours: socket.socket, orders: BinaryIO) -> None:
    first = await asyncio.to_thread(hear, orders)
    assert isinstance(first, Begin)  # noqa: S101 - the crew says it first
    settings = first.settings
    connections = Connections(first.address, settings)
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await connections.ready()
    except TimeoutError:
        raise CommandError(
            f"cannot reach a server at {first.address}",
            ExitCode.NO_SERVER,
            reason=Why.SERVER_UNREACHABLE,
        ) from None
    transport = transport_of(connections, settings)
    generator = Generator(first.worker, settings, transport)
    process.settle_memory()
    say(ours, Ready())
    phase: asyncio.Task[None] | None = None
    while True:
        match await asyncio.to_thread(hear, orders):
            case Phase() as order:
                phase = asyncio.create_task(_carry_out(generator, order, ours))
            case Stop():
                generator.stop()
            case Finish(within_s):
                if phase is not None:
                    await phase
                calls = Calls(connections.stubs, settings.timeout_s)
                await resolve(generator.open, generator.judge, calls, within_s=within_s)
                say(ours, Done(generator.judge.tally))
                await transport.close()
                await connections.close()
                return
            case other:
                raise TypeError(other)


async def _carry_out(generator: Generator, phase: Phase, ours: socket.socket) -> None:
    try:
        say(ours, await generator.carry_out(phase, lambda second: say(ours, second)))
    except Exception:  # noqa: BLE001 - the crew is told
        _break(ours, _unexpected())


if __name__ == "__main__":
    main()
