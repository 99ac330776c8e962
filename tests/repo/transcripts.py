"""What a document shows of a terminal: commands and what they print, compared with what they print now."""

import re

CUT = "…"

# What differs from one run to the next, in the order in which it is looked for.
VARYING = (
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "KEY"),
    (r"\b[0-9a-f]{12,16}-[0-9a-f]{12,16}\b", "RESERVATION"),
    (r"\b[0-9a-f]{12,16}\b", "ID"),
    (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2})?", "TIME"),
    (r"\s+", " "),
)
# The plot's columns and labels depend on the day of the month.
PLOT = re.compile(r" ?[\d,]*[ █▄─┬┴└]+|(?: ?\d{1,2} [A-Z][a-z]{2})+")


def runs(block: str) -> list[tuple[str, str]]:
    """Cut a transcript into its commands and what each printed."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def same(printed: str, expected: str) -> bool:
    """Say whether it was printed, except for the parts that vary; the line … stands for any lines."""
    wanted = [".*" if line == CUT else re.escape(line) for line in essence(expected)]
    return re.fullmatch("\n".join(wanted), "\n".join(essence(printed)), re.DOTALL) is not None


def essence(text: str) -> list[str]:
    """Reduce a text to its lines without what varies; lines that are alike then are one."""
    lines: list[str] = []
    for line in text.splitlines():
        reduced = line
        for pattern, label in VARYING:
            reduced = re.sub(pattern, label, reduced)
        reduced = "PLOT" if PLOT.fullmatch(reduced.strip()) else reduced.strip()
        if reduced and [reduced] != lines[-1:]:
            lines.append(reduced)
    return lines
