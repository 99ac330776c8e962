"""The paths of price lists: what is good, and what other systems write, refused with the right spelling."""

import pytest

from tollkeeper.core.validation.patterns import fault_of_pattern

GOOD = [
    "/",
    "/v1/leads",
    "/v1/leads/",
    "/v1/leads/{id}",
    "/v1/leads/{lead-id}/notes/{note.id}",
    "/v1/files/**",
    "/**",
    "/v1/models/gpt:free",
    "/v1/models:batchGet",
    "/v1/models/{model}:generateContent",
    "/v1/models/{model}:count-Tokens.v2",
    "/v1/models/{model}:run/**",
    "/odata/$metadata",
    "/fhir/$everything",
    "/v1/items[0]",
    "/v1/a+b=c,d(e)",
    "/v1/café",
    "/v1/leads.json",
    "/~user/@me",
    "/v1/...",
]

OTHERS = [
    ("/v1/leads/:id", 'has ":id", which would be taken literally; write "{id}"'),
    ("/v1/leads/:id?", 'has ":id?", which would be taken literally; write "{id}"'),
    (r"/v1/leads/:id(\d+)", r'has ":id(\d+)", which would be taken literally; write "{id}"'),
    ("/v1/files/:rest*", 'has ":rest*", which would be taken literally; write "**"'),
    ("/v1/files/:rest(.*)", 'has ":rest(.*)", which would be taken literally; write "**"'),
    (
        "/v1/files/:rest+/x",
        'has ":rest+", which would be taken literally; write "{rest}", for one segment',
    ),
    ("/v1/m/:model:run", 'has ":model:run", which would be taken literally; write "{model}:run"'),
    ("/v1/users/<id>", 'has "<id>", which would be taken literally; write "{id}"'),
    ("/v1/users/<int:id>", 'has "<int:id>", which would be taken literally; write "{id}"'),
    ("/v1/users/<id:int>", 'has "<id:int>", which would be taken literally; write "{id}"'),
    (
        "/v1/<string(length=2):lang>/x",
        'has "<string(length=2):lang>", which would be taken literally; write "{lang}"',
    ),
    ("/v1/files/<path:rest>", 'has "<path:rest>", which would be taken literally; write "**"'),
    ("/v1/files/<rest..>", 'has "<rest..>", which would be taken literally; write "**"'),
    (
        "/v1/*/notes",
        'has "*", which would be taken literally; write "{name}" for one segment',
    ),
    (
        "/v1/*",
        'has "*", which would be taken literally; write "{name}" for one segment, or "**" for the rest',
    ),
    ("/v1/*rest", 'has "*rest", which would be taken literally; write "**"'),
    ("/v1/**/notes", 'has "**" before its end; write "{name}" for one segment'),
    ("/v1/leads/{id:[0-9]+}", 'has "{id:[0-9]+}"; write "{id}"'),
    ("/v1/leads/{id:[0-9]{2}}", 'has "{id:[0-9]{2}}"; write "{id}"'),
    ("/v1/leads/{id:int}", 'has "{id:int}"; write "{id}"'),
    ("/v1/leads/{id?}", 'has "{id?}"; write "{id}"'),
    ("/v1/leads/{id=5}", 'has "{id=5}"; write "{id}"'),
    ("/v1/leads/{{id}}", 'has "{{id}}"; write "{id}"'),
    ("/v1/files/{rest...}", 'has "{rest...}"; write "**"'),
    ("/v1/files/{*rest}", 'has "{*rest}"; write "**"'),
    ("/v1/files/{**rest}", 'has "{**rest}"; write "**"'),
    ("/v1/files/{rest:path}", 'has "{rest:path}"; write "**"'),
    ("/v1/files/{rest:.*}", 'has "{rest:.*}"; write "**"'),
    ("/v1/files/{proxy+}", 'has "{proxy+}"; write "**"'),
    ("/v1/files/{+rest}", 'has "{+rest}"; write "**"'),
    ("/v1/leads/[id]", 'has "[id]", which would be taken literally; write "{id}"'),
    ("/v1/files/[...slug]", 'has "[...slug]", which would be taken literally; write "**"'),
    ("/v1/files/[[...slug]]", 'has "[[...slug]]", which would be taken literally; write "**"'),
    ("/v1/leads/$id", 'has "$id", which would be taken literally; write "{id}"'),
    ("/v1/leads/$leadId", 'has "$leadId", which would be taken literally; write "{leadId}"'),
    ("/v1/leads/${id}", 'has "${id}"; write "{id}"'),
]

WRONG = [
    ("v1/leads", "must begin with /"),
    ("", "must begin with /"),
    ("^/v1", "must begin with /"),
    ("/" + "a" * 2048, "must not be longer than 2048 bytes"),
    ("/v1//leads", "has two slashes in a row; write one"),
    ("/v1/../leads", 'has ".." as a segment; leave it out'),
    ("/v1/{}", 'has "{}"; write a name in the braces, such as "{id}"'),
    (
        "/v1/{id}.json",
        'has "{id}.json"; braces stand for a whole segment; name each with this text, or write "{id}" for all',
    ),
    (
        "/v1/{id}:a:b",
        'has "{id}:a:b"; a verb is text without another ":", as in "{name}:verb"',
    ),
    ("/v1/caf%C3%A9", 'has "caf%C3%A9"; write it decoded, as "café"'),
]


@pytest.mark.parametrize("pattern", GOOD)
def test_a_path_that_says_one_thing_is_good(pattern: str) -> None:
    assert fault_of_pattern(pattern) is None


@pytest.mark.parametrize(("pattern", "fault"), OTHERS)
def test_what_other_systems_write_is_refused_with_the_right_spelling(
    pattern: str, fault: str
) -> None:
    assert fault_of_pattern(pattern) == fault


@pytest.mark.parametrize(("pattern", "fault"), OTHERS)
def test_the_right_spelling_of_a_refusal_is_itself_good(pattern: str, fault: str) -> None:
    wrong = fault.removeprefix('has "').partition('"')[0]
    right = fault.rpartition('write "')[2].partition('"')[0]

    mended = pattern.replace(wrong, right, 1)

    assert mended != pattern
    assert fault_of_pattern(mended) is None


@pytest.mark.parametrize(("pattern", "fault"), WRONG)
def test_a_fault_is_named_with_the_way_out(pattern: str, fault: str) -> None:
    assert fault_of_pattern(pattern) == fault


@pytest.mark.parametrize("segment", ["a b", "a?b", "a;b", "a\\b", "a\x00b", "%zz", "a#"])
def test_a_character_that_no_segment_can_have_is_refused(segment: str) -> None:
    fault = fault_of_pattern(f"/v1/{segment}")

    assert fault is not None
    assert fault.endswith('or it is "{name}", "{name}:verb", or a last "**"')
    assert fault.isprintable()


def test_all_wrong_segments_of_a_path_are_named_but_not_without_end() -> None:
    assert fault_of_pattern("/v1/:a/<b>") == (
        'has ":a", which would be taken literally; write "{a}"; '
        'has "<b>", which would be taken literally; write "{b}"'
    )
    many = fault_of_pattern("/" + "/".join(f":{number}" for number in range(300)))
    assert many is not None
    assert many.endswith("; and 297 more segments are wrong")
    assert len(many) < 300
