"""A client of grpc-go that asks every 5 s whether its connections are alive, while nothing is called."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.processes import serving
from tests.support.go import go_program

PING_EVERY = "5s"
OPEN_FOR = "18s"
"""gRPC cuts a connection off at the fourth ping that is too early, of which the first is none: after 15 s."""


@pytest.mark.thorough
@pytest.mark.slow
def test_a_quiet_stream_and_an_idle_channel_of_go_stay_open(tmp_path: Path) -> None:
    program = go_program("clients/go_client", tmp_path)
    with serving(tmp_path) as server:
        client = subprocess.run(
            [str(program), "keep", server.address, PING_EVERY, OPEN_FOR],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert (client.stdout, client.returncode) == ("kept\n", 0)
