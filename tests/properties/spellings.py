"""Ways to write a path: none of them is cheaper than another, and some are refused."""

from collections.abc import Callable

Spelling = Callable[[str], str]


def as_written(path: str) -> str:
    return path


def with_slash(path: str) -> str:
    return path + "/"


def with_doubled_slashes(path: str) -> str:
    return path.replace("/", "//")


def with_query(path: str) -> str:
    return path + "?page=/v1/track"


def with_fragment(path: str) -> str:
    return path + "#top"


def with_encoded_letter(path: str) -> str:
    return path.replace("e", "%65", 1)


def with_encoded_slash(path: str) -> str:
    return "%2F".join(path.rsplit("/", 1)) if path.count("/") > 1 else path


def with_encoded_backslash(path: str) -> str:
    return "%5c".join(path.rsplit("/", 1)) if path.count("/") > 1 else path


def with_parameters(path: str) -> str:
    return path.replace("/v1", "/v1;a=1", 1) + ";b=2"


def with_encoded_parameters(path: str) -> str:
    return path + "%3Bb=2"


def with_encoded_query(path: str) -> str:
    return path + "%3Fpage=1"


def with_blank(path: str) -> str:
    return path + "%20"


def with_blanks_within(path: str) -> str:
    return path.replace("/v1", "/v1%20", 1) + "/%20"


def with_letters_of_others(path: str) -> str:
    return path + "/%C3%A9"


def with_dots(path: str) -> str:
    return path + "/x/%2e."


def with_double_encoding(path: str) -> str:
    return path + "%2565"


def with_control(path: str) -> str:
    return path + "%00"


def without_beginning(path: str) -> str:
    return path[1:]


SPELLINGS: list[Spelling] = [
    with_slash,
    with_doubled_slashes,
    with_query,
    with_fragment,
    with_encoded_letter,
    with_encoded_slash,
    with_encoded_backslash,
    with_parameters,
    with_encoded_parameters,
    with_encoded_query,
    with_blank,
    with_blanks_within,
    with_letters_of_others,
]
REFUSED_SPELLINGS: list[Spelling] = [
    with_dots,
    with_double_encoding,
    with_control,
    without_beginning,
]
