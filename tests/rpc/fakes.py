"""An engine that answers what a test tells it to, behind a real server."""

import asyncio
from typing import Any, cast

from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings


class FakeEngine:
    """Answers every command with `answer`, or raises it; until `free` is set it waits."""

    def __init__(self) -> None:
        self.settings = EngineSettings()
        self.answer: Any = RuntimeError("no answer was given")
        self.asked: list[Any] = []
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    @property
    def engine(self) -> Engine:
        """This, as what the server takes."""
        return cast("Engine", self)

    def lane_counts(self) -> tuple[()]:
        """There are no lanes."""
        return ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._execute

    async def _execute(self, command: Any) -> Any:
        self.asked.append(command)
        self.arrived.set()
        try:
            await self.free.wait()
        finally:
            self.left.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
