"""A store around the real one that tells a test what a lane does, and lets it stop or break that."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tollkeeper.engine.ports import (
    Batch,
    Due,
    LaneStore,
    Loaded,
    Needs,
    Publication,
    Reader,
    Store,
    Writes,
)
from tollkeeper.engine.token_ports import TokenStore
from tollkeeper.engine.webhook_ports import WebhookStore


class Watch:
    """What a test may do at each step of a batch, on the lane's thread; raising breaks that step."""

    def beginning(self) -> None:
        """Before the database transaction begins."""

    def loading(self, needs: Needs) -> None:
        """Before a batch locks and reads."""

    def writing(self, writes: Writes) -> None:
        """Before a batch writes."""

    def committing(self) -> None:
        """Before the database transaction is committed; raising rolls it back."""

    def committed(self) -> None:
        """After it was; raising makes its outcome unknown to the lane."""


class WatchedStore:
    """See `ports.Store`."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self.lanes_max = store.lanes_max
        self.reader: Reader = store.reader
        self.webhooks: WebhookStore = store.webhooks
        self.tokens: TokenStore = store.tokens

    def lane(self) -> LaneStore:
        return _Lane(self._store.lane(), self._watch)

    def abort(self) -> None:
        self._store.abort()

    def close(self) -> None:
        self._store.close()


class _Lane:
    def __init__(self, lane: LaneStore, watch: Watch) -> None:
        self._lane = lane
        self._watch = watch
        self.oldest = lane.oldest
        self.aged = lane.aged
        self.forget_windows = lane.forget_windows

    @contextmanager
    def batch(self) -> Generator[Batch]:
        self._watch.beginning()
        with self._lane.batch() as batch:
            yield _Batch(batch, self._watch)
            self._watch.committing()
        self._watch.committed()

    def publication(self) -> AbstractContextManager[Publication]:
        return self._lane.publication()

    def due(self, shards: Sequence[int], limit: int) -> Due:
        return self._lane.due(shards, limit)

    def place_events(self, limit: int) -> int:
        return self._lane.place_events(limit)

    def close(self) -> None:
        self._lane.close()


class _Batch:
    def __init__(self, batch: Batch, watch: Watch) -> None:
        self._batch = batch
        self._watch = watch
        self.overdue = batch.overdue
        self.price_book = batch.price_book

    def load(self, needs: Needs) -> Loaded:
        self._watch.loading(needs)
        return self._batch.load(needs)

    def write(self, writes: Writes, meanwhile: Callable[[], None] | None = None) -> None:
        self._watch.writing(writes)
        self._batch.write(writes, meanwhile)
