"""A receiver of webhooks in a process of its own, which does what a plan says and writes down what it gets.

`python -m tests.support.receiver FOLDER PORT` serves until it is killed; whatever it got is in a file before it
answers, so nothing is forgotten where it is killed. The plan is a file too: for each path the steps by number of
request, of which the last holds for all that follow.
"""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
ACKNOWLEDGE = {"status": 200}

Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came, and the status that it was answered with; 0 where it was not."""

    path: str
    headers: dict[str, str]
    body: str
    status: int
    at_s: float

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


class Receiver:
    """A receiver as its test sees it."""

    def __init__(self, folder: Path, *, certificate: Path | None = None) -> None:
        self._folder = folder
        self._certificate = certificate
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Serve on the port of before, or on a free one."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", __name__, str(self._folder), str(self.port)),
                *([] if self._certificate is None else [str(self._certificate)]),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def url(self, path: str = "/") -> str:
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{HOST}:{self.port}{path}"

    def plan(self, path: str, *steps: Step) -> None:
        """Say what requests of a path come to from now on, one after the other."""
        plans = _read_plans(self._folder)
        plans[path] = {"after": len(self.received(path)), "steps": steps}
        partly = self._folder / "plan.new"
        partly.write_text(json.dumps(plans), encoding="utf-8")
        partly.replace(self._folder / "plan.json")

    def received(self, path: str | None = None) -> list[Received]:
        """What has come so far."""
        return [each for each in self._lines() if path is None or each.path == path]

    def acknowledged(self, path: str | None = None) -> list[str]:
        """The ids of what was answered with 2xx, in order."""
        return [each.message_id for each in self.received(path) if 200 <= each.status < 300]

    def wait_for(self, path: str, number: int, *, timeout_s: float = 30) -> list[Received]:
        """Wait until so many requests have come to a path."""
        assert wait_until(lambda: len(self.received(path)) >= number, timeout_s=timeout_s), (
            f"{len(self.received(path))} of {number} came to {path}"
        )
        return self.received(path)

    def _lines(self) -> Iterator[Received]:
        log = self._folder / "received.jsonl"
        if log.exists():
            for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    yield Received(**json.loads(line))


@contextmanager
def receiving(folder: Path, *, certificate: Path | None = None) -> Generator[Receiver]:
    """Run a receiver, which acknowledges everything until it is given a plan; with a certificate over TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    receiver = Receiver(folder, certificate=certificate)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.kill()


def make_certificate(folder: Path) -> Path | None:
    """Make a certificate of this machine's own, with its key in the same file; None where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    certificate = folder / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=receiver", "-addext", f"subjectAltName=IP:{HOST}"),
            *("-keyout", str(folder / "key.pem"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with certificate.open("a", encoding="ascii") as file:
        file.write((folder / "key.pem").read_text(encoding="ascii"))
    return certificate


def _read_plans(folder: Path) -> dict[str, Any]:
    file = folder / "plan.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


# -- the process


class _Serving:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "received.jsonl").open("a", encoding="utf-8")
        self._counts: dict[str, int] = {}
        for line in (folder / "received.jsonl").read_text(encoding="utf-8").splitlines():
            self._count(json.loads(line)["path"])

    def _count(self, path: str) -> int:
        self._counts[path] = self._counts.get(path, 0) + 1
        return self._counts[path]

    def _step(self, path: str) -> Step:
        plan = _read_plans(self._folder).get(path)
        number = self._count(path)
        if plan is None:
            return ACKNOWLEDGE
        steps = plan["steps"]
        return steps[min(max(number - plan["after"] - 1, 0), len(steps) - 1)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = first.split(" ")[1]
        step = self._step(path)
        status = int(step.get("status", 0))
        written = {
            "path": path,
            "headers": headers,
            "body": body.decode(),
            "status": status,
            "at_s": asyncio.get_running_loop().time(),
        }
        self._log.write(json.dumps(written) + "\n")
        self._log.flush()
        if step.get("hang"):
            await reader.read()  # until the other side has had enough
            return
        if not status:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le" if step.get("half") else b"")
            await writer.drain()
            return
        await asyncio.sleep(step.get("after_s", 0))
        answer = step.get("body", "").encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in step.get("headers", {}).items())
        writer.write(
            f"HTTP/1.1 {status} Planned\r\n{more}Content-Length: {len(answer)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()


async def _main(folder: Path, port: int, certificate: str = "") -> None:
    serving = _Serving(folder)
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = await asyncio.start_server(serving.serve, HOST, port, ssl=tls)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
