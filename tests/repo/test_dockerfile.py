"""Carries the Dockerfile out without a container engine: its steps, in an empty folder as `/`.

What an engine does with a file system of its own happens here below one folder: absolute paths are
moved there, and so each stage begins empty. What needs root (users, owners) is left out.
"""

import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.cli.processes import tollkeeper
from tests.repo.tree import ROOT, files, name
from tests.support.waiting import wait_until

OWN_FOLDERS = re.compile(r"(?<!\w)/(?=(?:src|opt|data)\b)")
NEEDS_ROOT = ("useradd ", "chown ")


@dataclass
class Stage:
    """One FROM and what has become of it so far. `folder` stands for `/`."""

    folder: Path
    environment: dict[str, str]
    workdir: str = "/"
    settings: dict[str, str] = field(default_factory=dict[str, str])

    def moved(self, text: str) -> str:
        return OWN_FOLDERS.sub(f"{self.folder}/", text)

    def path(self, text: str) -> Path:
        return self.folder / text.lstrip("/") if text.startswith("/") else self.here() / text

    def here(self) -> Path:
        return self.folder / self.workdir.lstrip("/")

    def env(self, arguments: str) -> None:
        for assignment in shlex.split(arguments):
            key, value = assignment.split("=", maxsplit=1)
            self.environment[key] = string.Template(self.moved(value)).substitute(self.environment)

    def copy(self, arguments: str, *, source: Path) -> None:
        *names, target = arguments.split()
        into = self.path(target)
        for one in names:
            found = source / one.lstrip("/")
            if found.is_dir():
                shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into)

    def run(self, command: str) -> None:
        for part in re.split(r"\s+&&\s+", self.moved(command)):
            if not part.startswith(NEEDS_ROOT):
                subprocess.run(part, shell=True, check=True, cwd=self.here(), env=self.environment)  # noqa: S602 -- as an engine does


def build(
    dockerfile: str, *, context: Path, scratch: Path, arguments_given: Mapping[str, str]
) -> Stage:
    """Carry every instruction out; the last stage is the image."""
    stages: dict[str, Path] = {}
    folder = scratch / "root"
    stage = Stage(folder, {})
    stage_name = ""
    for instruction, arguments in instructions(dockerfile):
        match instruction:
            case "FROM":
                if stage_name:
                    stages[stage_name] = folder.rename(scratch / stage_name)
                folder.mkdir()
                stage = Stage(folder, clean_environment())
                stage_name = arguments.partition(" AS ")[2] or "image"
            case "WORKDIR":
                stage.workdir = arguments
                stage.here().mkdir(parents=True, exist_ok=True)
            case "ENV":
                stage.env(arguments)
            case "ARG":
                key, _, default = arguments.partition("=")
                stage.environment[key] = arguments_given.get(key, default)
            case "COPY" if arguments.startswith("--from="):
                origin, _, rest = arguments.removeprefix("--from=").partition(" ")
                stage.copy(rest, source=stages[origin])
            case "COPY":
                stage.copy(arguments, source=context)
            case "RUN":
                stage.run(arguments)
            case _:
                stage.settings[instruction] = arguments
    return stage


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    without_comments = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", " ", without_comments)
    parted = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(instruction, arguments.strip()) for instruction, _, arguments in parted]


def clean_environment() -> dict[str, str]:
    """Keep what leads to the network; nothing of this environment's Python but its place."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV", "TOLLKEEPER", "PYTEST"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def copy_context(target: Path) -> None:
    """Copy what .dockerignore lets through; the last pattern that matches a file decides."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in patterns if line and not line.startswith("#")]
    for path in files():
        relative = name(path)
        ignored = False
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            if fnmatch(relative, pattern) or fnmatch(relative, f"{pattern}/*"):
                ignored = not rule.startswith("!")
        if not ignored:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / relative)


def words(exec_form: str) -> list[str]:
    """Read an instruction's exec form; its shell form is an error."""
    return [str(word) for word in json.loads(exec_form)]


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def last_setting(wanted: str) -> str:
    return [
        arguments for instruction, arguments in instructions(dockerfile()) if instruction == wanted
    ][-1]


def test_the_image_runs_the_server_as_an_ordinary_user() -> None:
    assert last_setting("USER") not in {"0", "root"}
    assert last_setting("EXPOSE") == "50051"
    assert last_setting("VOLUME") == "/data"


def test_the_server_is_process_1_so_that_a_signal_reaches_it() -> None:
    assert words(last_setting("ENTRYPOINT")) == ["tollkeeper"]
    assert words(last_setting("CMD")) == ["serve"]


def test_every_setting_of_the_image_can_be_set_by_its_variable() -> None:
    flags = [word for word in words(last_setting("CMD")) if word.startswith("-")]
    assert flags == [], "a flag would go before the variable"
    assert ":50051" in last_setting("ENV")


def test_the_image_needs_a_certificate_or_a_word_for_plain_text(tmp_path: Path) -> None:
    pairs = re.findall(
        r"(TOLLKEEPER_\w+)=(\S+)",
        " ".join(
            arguments
            for instruction, arguments in instructions(dockerfile())
            if instruction == "ENV"
        ),
    )

    ended = tollkeeper("serve", environment=dict(pairs), folder=tmp_path)

    assert (ended.code, ended.out) == (2, "")
    assert "listen is ':50051'; it must not offer plain text on :50051" in ended.err
    assert "give tls_cert and tls_key" in ended.err


WHOLE: dict[str, str] = {}
SERVING_ALONE = {"EXTRAS": ""}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("extras", "migrates"), [(WHOLE, True), (SERVING_ALONE, False)])
def test_the_image_serves_and_is_healthy_and_stops_on_sigterm(
    extras: Mapping[str, str], *, migrates: bool, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    copy_context(context)
    image = build(dockerfile(), context=context, scratch=tmp_path, arguments_given=extras)
    command = words(image.settings["ENTRYPOINT"]) + words(image.settings["CMD"])
    health = words(image.settings["HEALTHCHECK"].partition(" CMD ")[2])
    log = tmp_path / "log"
    socket = tmp_path / "s"
    # As an operator may: the health check looks where the server is told to listen.
    image.environment["TOLLKEEPER_LISTEN"] = f"unix:{socket}"

    with log.open("wb") as output:
        server = subprocess.Popen(
            [image.moved(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=image.here(),
            env=image.environment,
            executable=shutil.which(command[0], path=image.environment["PATH"]),
        )
    try:
        assert wait_until(
            lambda: "listening on " in log.read_text() or server.poll() is not None, timeout_s=60
        )
        listening = re.search(r"listening on (\S+)", log.read_text())
        assert listening is not None, log.read_text()
        checked = run_in(image, health)
        server.send_signal(signal.SIGTERM)

        assert server.wait(timeout=60) == 0, log.read_text()
        assert listening[1] == f"unix:{socket}"
        assert checked.returncode == 0
        assert (image.folder / "data" / "tollkeeper.db").exists()
        migrated = run_in(image, [*words(image.settings["ENTRYPOINT"]), "migrate", "--check"])
        assert (migrated.returncode == 0) == migrates, migrated.stderr
        assert ("pip install 'tollkeeper[cli]'" in migrated.stderr) != migrates
    finally:
        server.kill()
        server.wait()


def run_in(image: Stage, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=image.here(),
        env=image.environment,
        executable=shutil.which(command[0], path=image.environment["PATH"]),
    )
