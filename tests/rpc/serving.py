"""Serves a ledger until its standard input closes: `python -m tests.rpc.serving DATABASE_URL`.

A process of its own: gRPC wants one event loop in a process, and a test has that already.
"""

import asyncio
import sys

from tollkeeper.engine.engine import Engine
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.storage.schema.migrate import upgrade
from tollkeeper.storage.store import open_store


async def serve(database_url: str) -> None:
    upgrade(database_url)
    store = open_store(database_url)
    engine = Engine(store)
    await engine.start()
    server = Server(engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(5)
    await engine.stop()
    store.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
