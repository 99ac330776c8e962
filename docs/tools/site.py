"""Lets the site hold the pages that stand outside of docs/, with links that work here and on a host of repositories.

A page links to another as files do: by a relative path in the repository. MkDocs knows the folder docs/ alone, so the
pages that stand outside of it are added to it, and every link is turned from a path of the repository into one of the
site. A link to a file that is no page of the site, such as a test, becomes its text: the site holds no sources.
"""

import posixpath
import re
from typing import Any

from mkdocs.structure.files import File

OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "clients/README.md",
    "clients/python/README.md",
    "proto/README.md",
)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 -- MkDocs' hook
    """Add the pages that stand outside of docs/."""
    root = config.config_file_path.rpartition("/")[0]
    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=f"{root}/{name}"))
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:  # noqa: ANN401 -- likewise
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    pages = {each.src_uri for each in files.documentation_pages()}

    def turned(found: re.Match[str]) -> str:
        text, link, anchor = found[1], found[2], found[3] or ""
        if re.match(r"[a-z]+:", link):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(to_repository(here)), link))
        target = to_site(path)
        if target in pages:
            return f"[{text}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor})"
        # A page of docs/ that is not there is left as it is: MkDocs reports it.
        return found[0] if path.startswith("docs/") else text

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in parts)


def to_repository(page: str) -> str:
    """Return the path in the repository of a page of the site."""
    return page if page in OUTSIDE else f"docs/{page}"


def to_site(path: str) -> str:
    """Return the page of the site that a file of the repository has; the path itself, where it has none."""
    return path.removeprefix("docs/")
