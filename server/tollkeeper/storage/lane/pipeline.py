"""Sends the statements of a round trip to PostgreSQL at once, by libpq's own pipeline mode.

The driver's pipeline writes to the socket after each statement, so that the database wakes up for each. Here they leave
together: 13 statements in two round trips take 310 µs instead of 515, and 190 µs of processor time instead of 300
(measured). A statement is prepared when it is first sent over a connection, and not at all behind a pooler.
"""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from psycopg import Connection as Driver
    from psycopg.pq.abc import PGresult

    from tollkeeper.storage.rows.written import Row

FORGET = b"DEALLOCATE ALL"
_BINARY = pq.Format.BINARY


class Statements:
    """The statements of one connection: how libpq is to be given each, and which are prepared."""

    def __init__(self, driver: Driver[Any]) -> None:
        self.transformer = Transformer(driver)
        self.are_prepared = driver.prepare_threshold is not None
        self._queries: dict[bytes, tuple[bytes, bytes]] = {}
        self._prepared: set[bytes] = set()

    def query_of(self, statement: bytes) -> tuple[bytes, bytes]:
        """Return a statement with libpq's own placeholders, and its name."""
        found = self._queries.get(statement)
        if found is None:
            first, *others = statement.split(b"%s")
            numbered = [b"$%d%b" % (number, each) for number, each in enumerate(others, 1)]
            name = b"tollkeeper_%d" % len(self._queries)
            found = self._queries[statement] = first + b"".join(numbered), name
        return found

    def is_prepared(self, name: bytes) -> bool:
        """Say whether the database knows it by its name."""
        return name in self._prepared

    def note_prepared(self, name: bytes) -> None:
        """Take note that the database has prepared it."""
        self._prepared.add(name)

    def forget(self, driver: Driver[Any]) -> None:
        """Let the connection, which has rolled back, prepare everything anew: it is not known what it has prepared."""
        if self._prepared:
            driver.execute(FORGET, prepare=False)
            driver.commit()
            self._prepared.clear()


class Answer:
    """What a statement answers; it is waited for when it is asked for, or at the end of the pipeline."""

    __slots__ = ("_pipeline", "_rows")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._rows: list[Row] | None = None

    def fetchall(self) -> list[Row]:
        """Return the rows. Raises psycopg.Error where a statement of the pipeline has failed."""
        if self._rows is None:
            self._pipeline.wait()
        return self._rows or []

    def fetchone(self) -> Row | None:
        """Return the first row, as `fetchall`; None where there is none."""
        rows = self.fetchall()
        return rows[0] if rows else None

    def set_rows(self, rows: list[Row]) -> None:
        """Keep what the database has answered."""
        self._rows = rows


class Pipeline:
    """Used as a context, on a connection that is in no other pipeline; begins a transaction where there is none.

    At its end all answers are there, or the first error is raised.
    """

    def __init__(self, driver: Driver[Any], statements: Statements) -> None:
        self._connection = driver.pgconn
        self._statements = statements
        self._unanswered: deque[Answer] = deque()

    def __enter__(self) -> Self:
        self._connection.enter_pipeline_mode()
        if self._connection.transaction_status == pq.TransactionStatus.IDLE:
            self.command(b"BEGIN")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.wait()
            else:
                with suppress(psycopg.Error):  # the first is on its way
                    self.wait()
        finally:
            if self._connection.status != pq.ConnStatus.BAD:
                # A pipeline that cannot be ended is found by the connection's next use.
                with suppress(psycopg.Error):
                    self._connection.exit_pipeline_mode()

    def execute(self, statement: bytes, parameters: Sequence[str | int] = ()) -> Answer:
        """Have a statement sent. Parameters are of the types that the statement says."""
        query, name = self._statements.query_of(statement)
        values = [str(each).encode() for each in parameters]
        if not self._statements.are_prepared:
            self._connection.send_query_params(query, values, result_format=_BINARY)
            return self._sent()
        if not self._statements.is_prepared(name):
            self._connection.send_prepare(name, query)
            self._statements.note_prepared(name)
            self._sent()
        self._connection.send_query_prepared(name, values, result_format=_BINARY)
        return self._sent()

    def command(self, command: bytes) -> None:
        """Have a command of transactions sent, which is not worth to be prepared."""
        self._connection.send_query_params(command, None)
        self._sent()

    def _sent(self) -> Answer:
        answer = Answer(self)
        self._unanswered.append(answer)
        return answer

    def send(self) -> None:
        """Let all statements leave now."""
        self._connection.send_flush_request()
        while self._connection.flush():
            self._until_ready(writing=True)

    def wait(self) -> None:
        """Wait for all answers. Raises the first error; what came after it has not been carried out."""
        if not self._unanswered:
            return
        self._connection.pipeline_sync()
        first: psycopg.Error | None = None
        try:
            for result in self._results():
                answer = self._unanswered.popleft()
                error = self._take(result, answer)
                first = first or error
        finally:
            self._unanswered.clear()
        if first is not None:
            raise first

    def _take(self, result: PGresult, answer: Answer) -> psycopg.Error | None:
        """Hand a result to its answer; return the error that it is, if it is one."""
        if result.status == pq.ExecStatus.TUPLES_OK:
            transformer = self._statements.transformer
            transformer.set_pgresult(result, set_loaders=True, format=_BINARY)
            answer.set_rows(transformer.load_rows(0, result.ntuples, tuple))
            return None
        if result.status == pq.ExecStatus.COMMAND_OK:
            answer.set_rows([])
            return None
        if result.status == pq.ExecStatus.PIPELINE_ABORTED:
            return errors.PipelineAborted("an earlier statement failed")
        return errors.error_from_result(result)

    def _results(self) -> list[PGresult]:
        """Return one result for each statement that was sent."""
        connection = self._connection
        results: list[PGresult] = []
        while True:
            unsent = bool(connection.flush())
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:  # the end of one statement's
                    continue
                if result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return results
                results.append(result)
            self._until_ready(writing=unsent)

    def _until_ready(self, *, writing: bool) -> None:
        """Wait until the database has said something, or takes more; read what it has said."""
        poll = select.poll()
        poll.register(self._connection.socket, select.POLLIN | (select.POLLOUT if writing else 0))
        if any(event & ~select.POLLOUT for _, event in poll.poll()):
            self._connection.consume_input()
