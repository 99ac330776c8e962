"""Draw the packages of this repository and the imports between them, or say that the drawing is stale.

python docs/tools/imports.py            writes docs/explanation/imports.svg, as `make generate` does
python docs/tools/imports.py --check    exits 1 and names what has changed since it was drawn
python docs/tools/imports.py --text     prints a line for each arrow, then those inside each package, and its circles
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import grimp
import pygraphviz

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "explanation" / "imports.svg"
SOURCES = ("server", "clients/python")
SERVER = "tollkeeper"
LOOK = {
    "graph": {"rankdir": "TB", "ranksep": "0.55", "nodesep": "0.3", "fontname": "sans-serif"},
    # A box has the size that is said here: fonts differ from machine to machine.
    "node": {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": "#eef3fb",
        "color": "#4a6fa5",
        "fontname": "sans-serif",
        "fontsize": "13",
        "fixedsize": "true",
        "height": "0.55",
    },
    "edge": {"color": "#7a8699", "arrowsize": "0.7", "fontname": "sans-serif", "fontsize": "10"},
}

Arrows = Counter[tuple[str, str]]


def graph_of(root: Path) -> grimp.ImportGraph:
    """Return every import below `root`, those for types too."""
    folders = [root / source for source in SOURCES]
    sys.path[:0] = map(str, folders)
    names = [
        each.parent.name for folder in folders for each in folder.glob("tollkeeper*/__init__.py")
    ]
    first, *others = sorted(names)
    return grimp.build_graph(first, *others, cache_dir=None)


def boxes_of(graph: grimp.ImportGraph) -> list[str]:
    """Return what the picture has a box for: what is in the server's package, and the packages beside it."""
    roots = {name for name in graph.modules if "." not in name}
    return sorted((roots - {SERVER}) | graph.find_children(SERVER))


def arrows_of(graph: grimp.ImportGraph, boxes: list[str]) -> Arrows:
    """Return how many imports there are from each box to each other one."""
    box_of = {module: box for box in boxes for module in (box, *graph.find_descendants(box))}
    arrows: Arrows = Counter()
    for importer, box in box_of.items():
        for imported in graph.find_modules_directly_imported_by(importer):
            other = box_of.get(imported, box)
            if other != box:
                arrows[box, other] += 1
    return arrows


def picture(graph: grimp.ImportGraph) -> str:
    """Return the drawing as SVG."""
    boxes = boxes_of(graph)
    drawing: Any = pygraphviz.AGraph(directed=True)
    for kind, look in LOOK.items():
        getattr(drawing, f"{kind}_attr").update(look)
    for box in boxes:
        files = 1 + len(graph.find_descendants(box))
        name = box.removeprefix(f"{SERVER}.")
        words = f"{files} files" if files > 1 else "1 file"
        drawing.add_node(box, label=f"{name}\n{words}", width=max(1.0, 0.115 * len(name)))
    for (importer, imported), count in sorted(arrows_of(graph, boxes).items()):
        drawing.add_edge(importer, imported, label=_number(count), penwidth=_width(count))
    drawn: bytes = drawing.draw(format="svg", prog="dot")
    return drawn.decode()


def _number(count: int) -> str:
    size = 'CELLSPACING="0" CELLPADDING="0" FIXEDSIZE="TRUE" WIDTH="28" HEIGHT="18"'
    return f'<<TABLE BORDER="0" {size}><TR><TD>{count}</TD></TR></TABLE>>'


def _width(count: int) -> float:
    """Return how thick an arrow is: twice as many imports are a little thicker."""
    return round(0.6 + 0.3 * count.bit_length(), 1)


def text(graph: grimp.ImportGraph) -> str:
    """Return the arrows of the picture, and then those inside each package and its circles, as lines."""
    lines = [
        f"{a} -> {b}: {count}"
        for (a, b), count in sorted(arrows_of(graph, boxes_of(graph)).items())
    ]
    for package in sorted(graph.modules):
        inside = arrows_of(graph, sorted(graph.find_children(package)))
        if not inside:
            continue
        lines.append(f"\ninside {package}:")
        lines += [f"{a} -> {b}: {count}" for (a, b), count in sorted(inside.items())]
        for importer, imported in sorted(graph.nominate_cycle_breakers(package)):
            lines.append(f"a circle: {importer} -> {imported} closes it")
    return "\n".join(lines)


def facts(drawn: str) -> list[tuple[str, ...]]:
    """Return what a drawing says: of each box and each arrow its name and its texts. Where they stand may differ."""
    groups = ET.fromstring(drawn).iterfind(".//{*}g[@class]")  # noqa: S314 - it is ours
    found = [
        tuple(each.text or "" for each in group if each.text and each.text.strip())
        for group in groups
    ]
    return sorted(each for each in found if each)


def main() -> None:
    """Do what the first lines of this file say; --text takes the root of another working tree."""
    if "--check" in sys.argv:
        before, now = facts(PICTURE.read_text(encoding="utf-8")), facts(picture(graph_of(ROOT)))
        changed = sorted(set(before) ^ set(now))
        if changed:
            sys.exit(f"run `make generate`: {PICTURE.name} is stale: {changed}")
        return
    if "--text" in sys.argv:
        others = sys.argv[sys.argv.index("--text") + 1 :]
        print(text(graph_of(Path(others[0]) if others else ROOT)))
        return
    PICTURE.write_text(picture(graph_of(ROOT)), encoding="utf-8")


if __name__ == "__main__":
    main()
