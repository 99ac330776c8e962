"""Records which files of the server an Authorize runs through, in the order in which each is first entered.

The call goes to a real server on SQLite, with its writer in a process of its own, as in production. Only a second call
is recorded, so that the start of the server is no part of it.
"""

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import grpc.aio

from tests.repo.tree import SERVER
from tests.support.ledgers import ACCOUNT
from tollkeeper.core.commands import CreateAccount, GrantCredits, PublishPrices
from tollkeeper.core.pricing import paths
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.hosts.process_host import ProcessHost, WriterSpec
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.storage.store import open_store
from tollkeeper.v1.ledger_pb2 import AuthorizeRequest
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

PATH = "/v1/leads"


class Recorder:
    """A profile function that notes our files; what generated code does is left out."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """Note the file of a function that is called."""
        del arg
        if event == "call":
            self.note(frame)

    def note(self, frame: FrameType) -> None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SERVER) and "v1" not in path.parts:
            name = path.relative_to(SERVER).as_posix()
            if name not in self.files:
                self.files.append(name)


class WriterRecorder(Recorder):
    """Records in the writer's process: tasks that it reads while `switch` is there, up to their answer."""

    def __init__(self, switch: Path, found: Path) -> None:
        super().__init__()
        self._switch = switch
        self._found = found
        self._on = False

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """Note the file of a function that is called, and write all of them where the answer is given."""
        function = frame.f_code.co_name
        if event == "call" and function == "read_task" and self._switch.exists():
            self._on = True
            if frame.f_back is not None:
                self.note(frame.f_back)
        if self._on:
            super().__call__(frame, event, arg)
            if event == "return" and function == "say":
                self._on = False
                self._found.write_text(json.dumps(self.files), encoding="utf-8")


def begin(switch: Path, found: Path) -> None:
    """Begin in the writer's process, which calls this by its name."""
    sys.setprofile(WriterRecorder(switch, found))


def ready() -> None:
    """Do nothing: the writer's process calls this, by its name, when it has loaded everything."""


async def files_of_an_authorize(url: str, folder: Path) -> list[str]:
    """Return the files of one Authorize on a new ledger; `folder` is for files of ours.

    Those of the server's process up to the message to the writer, then the writer's, then the rest of the server's.
    """
    switch, found = folder / "switch", folder / "found"
    settings = EngineSettings()

    def host_of(name: str, shards: Sequence[int]) -> ProcessHost:
        start = functools.partial(begin, switch, found)
        opened = functools.partial(open_store, url)
        return ProcessHost(name, WriterSpec(start, ready, opened, shards, settings))

    store = open_store(url)
    engine = Engine(store, settings, host_of=host_of, moves_out=False)
    await engine.start(sweep=False)
    await engine.publish_prices(PublishPrices("prices", (Price("GET", PATH, 10),)))
    await engine.create_account(CreateAccount(ACCOUNT, "account"))
    await engine.grant_credits(GrantCredits(ACCOUNT, "credits", 100))
    server = Server(engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    recorder = Recorder()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = LedgerServiceStub(channel)
            await stub.Authorize(_request("first"))
            paths.parse.cache_clear()
            switch.touch()
            sys.setprofile(recorder)
            try:
                await stub.Authorize(_request("second"))
            finally:
                sys.setprofile(None)
    finally:
        await server.stop(1)
        await engine.stop()
        store.close()
    sent = recorder.files.index("ipc.py") + 1
    writers: list[str] = json.loads(found.read_text(encoding="utf-8"))
    return list(dict.fromkeys([*recorder.files[:sent], *writers, *recorder.files[sent:]]))


def _request(request_id: str) -> AuthorizeRequest:
    return AuthorizeRequest(account_id=ACCOUNT, method="GET", path=PATH, request_id=request_id)
