"""A running server over a ledger of its own, once for each database."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import pytest
import sqlalchemy
from sqlalchemy import create_engine, select

from tests.support.ledger_fixtures import ledger_template, ledger_url
from tollkeeper.engine.engine import Engine
from tollkeeper.outgoing.addresses import parse_networks
from tollkeeper.outgoing.sender import HttpSender
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.storage.schema.tables import metadata
from tollkeeper.storage.store import open_store
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub
from tollkeeper.v1.webhooks_pb2_grpc import WebhookServiceStub

if TYPE_CHECKING:
    from tollkeeper.v1.admin_pb2_grpc import AdminServiceAsyncStub
    from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceAsyncStub
    from tollkeeper.v1.webhooks_pb2_grpc import WebhookServiceAsyncStub


__all__ = ["ledger_template", "ledger_url"]


@dataclass
class Running:
    """A server, its clients, and the database behind it. Nothing is swept but on request."""

    database: sqlalchemy.Engine
    engine: Engine
    ledger: "LedgerServiceAsyncStub"
    admin: "AdminServiceAsyncStub"
    webhooks: "WebhookServiceAsyncStub"

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table, as text."""
        with self.database.connect() as connection:
            return {
                table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
                for table in metadata.sorted_tables
            }


@pytest.fixture
async def server(ledger_url: str) -> AsyncGenerator[Running]:
    database = create_engine(ledger_url)
    store = open_store(ledger_url)
    sender = HttpSender(timeout_s=2, networks=parse_networks("127.0.0.1"))
    engine = Engine(store, sender=sender)
    await engine.start(sweep=False)
    server = Server(engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Running(
            database,
            engine,
            LedgerServiceStub(channel),
            AdminServiceStub(channel),
            WebhookServiceStub(channel),
        )
    await server.stop(0)
    await engine.stop()
    await sender.close()
    store.close()
    database.dispose()
