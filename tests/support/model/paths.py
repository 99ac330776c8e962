"""Which price a path costs, by the reference model: every pattern tried on every reading.

Naive on purpose and independent of the server: no index, no cache, one explicit key for the order
of patterns. The rules are docs/rules.md, "Paths and prices".
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import product
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

PATH_BYTES_MAX = 2048
METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
CHARGE_RULE = re.compile(r"[1-5](xx|[0-9]{2})")

Segments = tuple[str, ...]

ANY, VERB, LITERAL = 0, 1, 2
"""How definite a segment of a pattern is."""


class BadPathError(ValueError):
    """A spelling of a path that is refused."""


@dataclass(frozen=True)
class Price:
    """What one request to an endpoint costs; method and path as the price list wrote them."""

    method: str
    path: str
    credits: int
    charge_on: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Price":
        """Make a price of what was published."""
        charge_on = tuple(row.get("charge_on") or ())
        return cls(row["method"], row["path"], row["credits"], charge_on, row.get("note", ""))

    @property
    def pattern(self) -> Segments:
        """The segments of the path; empty ones do not count."""
        return tuple(segment for segment in self.path.split("/") if segment)

    @property
    def rank(self) -> tuple[int, bool, bool, int, int, bool, int, tuple[int, ...]]:
        """Where several patterns match, the greatest of these wins."""
        literal = tuple(not _is_wild(segment) for segment in self.pattern)
        kinds = tuple(_kind(segment) for segment in self.pattern)
        before_first_wildcard = (*literal, False).index(False)
        return (
            before_first_wildcard,
            self.method != "*",
            all(literal),
            sum(literal),
            kinds.count(VERB),
            "**" not in self.pattern,
            len(literal),
            kinds,  # the rules leave a tie here: the earlier, more definite segment wins
        )

    @property
    def shape(self) -> tuple[str, Segments]:
        """All that a pattern is but the names in its braces, and but which form of Unicode it has."""
        bare = re.sub(r"\{[^}]*\}", "{}", unicodedata.normalize("NFC", self.path))
        return self.method, tuple(segment for segment in bare.split("/") if segment)

    def is_well_formed(self) -> bool:
        """Whether the pattern says one thing: whole names in braces, ``**`` at the end only."""
        begin, *segments = self.path.split("/")
        if segments[-1:] in ([""], ["**"]):  # a slash at the end, or the rest
            segments.pop()
        return (
            begin == ""
            and "/" in self.path
            and len(self.path.encode()) <= PATH_BYTES_MAX
            and all(_is_name(segment) or _is_literal(segment) for segment in segments)
        )

    def covers(self, status: int) -> bool:
        """Whether ``charge_on`` names the status, by itself or by its class."""
        return str(status) in self.charge_on or f"{status // 100}xx" in self.charge_on


def quote(prices: list[Price], *, unlisted_denied: bool, method: str, path: str) -> Price | str:
    """Find the dearest price of all readings of the path, or else "free" or "denied"."""
    found = [_priced(prices, method, reading) for reading in readings(path)]
    if unlisted_denied and None in found:
        return "denied"
    listed = [price for price in found if price is not None]
    return max(listed, key=lambda price: (price.credits, price.rank, price.path), default="free")


def readings(path: str) -> set[Segments]:
    """Cut the path in every way in which some router does; a dot segment in any is refused."""
    raw = _cut(path)
    cut_then_decoded = [decode(segment) for segment in raw.split("/")]
    decoded_then_cut = re.split(r"[/\\]", re.split(r"[?#]", decode(raw), maxsplit=1)[0])
    found: set[Segments] = set()
    for segments, form, parameters, blanks in product(
        (cut_then_decoded, decoded_then_cut), ("", "NFC"), (True, False), ("kept", "ends", "end")
    ):
        reading = [unicodedata.normalize("NFC", each) if form else each for each in segments]
        if not parameters:
            reading = [segment.split(";")[0] for segment in reading]
        if blanks == "ends":
            reading = [_without_blanks(segment, left=True) for segment in reading]
        elif blanks == "end":
            reading = _without_blank_end(reading)
        if "." in reading or ".." in reading:
            _refuse("the path has a dot segment")
        found.add(tuple(segment for segment in reading if segment))
    return found


def _without_blank_end(segments: list[str]) -> list[str]:
    """Drop what is blank at the end of the path, also where that is whole segments."""
    if not segments:
        return []
    *before, last = segments
    rest = _without_blanks(last, left=False)
    return [*before, rest] if rest else _without_blank_end(before)


def _without_blanks(text: str, *, left: bool) -> str:
    while text and _is_blank(text[-1]):
        text = text[:-1]
    while left and text and _is_blank(text[0]):
        text = text[1:]
    return text


def _is_blank(character: str) -> bool:
    return character.isspace() or character == "\ufeff"


def content(path: str) -> str:
    """Cut and decode the path, which a repeat of a call must name again."""
    return "/" + "/".join(segment for segment in decode(_cut(path)).split("/") if segment)


def decode(raw: str) -> str:
    """Decode percent-encoding once; refuse what would decode twice, badly, or to a control."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        _refuse("the path has a broken percent-encoding")
    try:
        decoded = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeError:
        _refuse("the path is not UTF-8")
    if has_control(decoded) or re.search(r"%[0-9A-Fa-f]{2}", decoded):
        _refuse("the path holds a control character or is encoded twice")
    return decoded


def has_control(text: str) -> bool:
    """Whether the text holds a control character of Unicode (category Cc)."""
    return any(unicodedata.category(character) == "Cc" for character in text)


def _refuse(message: str) -> NoReturn:
    raise BadPathError(message)


def _cut(path: str) -> str:
    raw = re.split(r"[?#]", path, maxsplit=1)[0]
    if not raw.startswith("/") or len(raw.encode("utf-8", "replace")) > PATH_BYTES_MAX:
        _refuse("the path does not begin with / or is too long")
    return raw


def _priced(prices: list[Price], method: str, path: Segments) -> Price | None:
    """Find the price of one reading; HEAD has that of GET where none of its own is the best for it."""
    best = _best(prices, method, path)
    if method == "HEAD" and (best is None or best.method != "HEAD"):
        return _best(prices, "GET", path)
    return best


def _best(prices: list[Price], method: str, path: Segments) -> Price | None:
    matching = [p for p in prices if p.method in {method, "*"} and _fits(p, path)]
    return max(matching, key=lambda price: price.rank, default=None)


def _fits(price: Price, path: Segments) -> bool:
    """Whether the pattern matches as it is written, or in Unicode's normal form."""
    normal = tuple(unicodedata.normalize("NFC", segment) for segment in price.pattern)
    return _matches(price.pattern, path) or _matches(normal, path)


def _matches(pattern: Segments, path: Segments) -> bool:
    if not pattern:
        return not path
    if pattern == ("**",):
        return True
    if not path or not _matches_one(pattern[0], path[0]):
        return False
    return _matches(pattern[1:], path[1:])


def _matches_one(expected: str, found: str) -> bool:
    if _kind(expected) == VERB:
        verb = expected[expected.index("}") + 1 :]
        return found.endswith(verb) and found != verb
    return _is_wild(expected) or expected == found


def _is_wild(segment: str) -> bool:
    return segment == "**" or segment.startswith("{")


def _kind(segment: str) -> int:
    if not _is_wild(segment):
        return LITERAL
    return VERB if "}:" in segment else ANY


def _is_name(segment: str) -> bool:
    """Whether it is a name in braces, with a verb behind it or without."""
    name, brace, verb = segment[1:].partition("}")
    return (
        segment[:1] == "{"
        and brace == "}"
        and _is_text(name)
        and not set(name) & set(":=+$()[]|^")
        and "..." not in name
        and (verb == "" or (verb[0] == ":" and _is_text(verb[1:]) and ":" not in verb[1:]))
    )


def _is_literal(segment: str) -> bool:
    is_id = re.fullmatch(r"\$(id|.*Id|.*_id)", segment) and segment[1:].replace("_", "a").isalnum()
    return _is_text(segment) and segment not in {".", ".."} and segment[0] not in ":[" and not is_id


def _is_text(text: str) -> bool:
    """Whether a path can hold the text as it stands, and no router reads it in two ways."""
    odd = any(character in "%?#;\\{}*<>/" or character.isspace() for character in text)
    return text != "" and not odd and not has_control(text)
