"""Finds the processes of writers, by what the system says of them."""

from pathlib import Path

from tollkeeper.engine.hosts.process_host import WRITER_MODULE


def writers_of(parent: int, name: str | None = None) -> list[int]:
    """The processes of the writers that a process has started and that have not ended; of one name, or all."""
    return [pid for pid in processes() if is_writer(pid, name) and parent_of(pid) == parent]


def is_writer(pid: int, name: str | None = None) -> bool:
    """Whether a process is a writer's, and runs."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return WRITER_MODULE.encode() in words and (name is None or name.encode() in words)


def processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]


def parent_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])
