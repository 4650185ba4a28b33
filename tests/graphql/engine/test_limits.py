"""What a document may ask for, and that hostile ones are refused quickly."""

import time

import pytest
from graphql import get_introspection_query, parse

from portal.core.actor import Actor
from portal.graphql import schema
from portal.graphql.engine.validation import Size, measure, prepare
from tests.graphql.conftest import Ask, codes

DOUBLING = (
    "{ viewer { ...F0 } } "
    + " ".join(f"fragment F{n} on Viewer {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    + " fragment F60 on Viewer { role }"
)
NESTED_DOUBLING = (
    "query { __typename ...F0 } "
    + " ".join(
        f"fragment F{n} on Query {{ a{n}: viewer {{ role }} ...F{n + 1} b{n}: viewer {{ role }} ...F{n + 1} }}"
        for n in range(30)
    )
    + " fragment F30 on Query { __typename }"
)
KEY_FIELD = 'key(id: "key_1")'


def deep(levels: int) -> str:
    return "{ a " * levels + "}" * levels


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("{ __typename } #" + "x" * 15_000, "characters"),
        ("{ " + "viewer " * 999 + "}", "tokens"),
        ("{ " + " ".join(f"a{n}: __typename" for n in range(16)) + " }", "aliases"),
        ("{ __typename " + "@skip(if: false) " * 51 + "}", "directives"),
        (deep(12), "levels"),
        (deep(400), "deep"),
        ("{ " + "__typename " * 401 + "}", "fields"),
        ("{ " + f"{KEY_FIELD} {{ id }} " * 51 + "}", "of one name"),
        (DOUBLING, "fields"),
        (NESTED_DOUBLING, "fields"),
        ("query Q($a: [Int] = " + "[" * 450 + "]" * 450 + ") { __typename }", "deep"),
    ],
)
async def test_too_much_is_refused_within_100_ms(ask: Ask, owner: Actor, document: str, word: str) -> None:
    for actor in (owner, None):
        result = await ask(actor, document)
        assert not result.has_started
        assert codes(result)[0] in ("TOO_LARGE", "BAD_DOCUMENT")
        assert word in result.errors[0].message
    assert seconds_to_prepare(document) < 0.1


def seconds_to_prepare(document: str) -> float:
    """Processor time, the best of three: the machine may be busy with other things."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        prepare(schema.graphql_schema, document, is_anonymous=True)
        times.append(time.thread_time() - began)
    return min(times)


@pytest.mark.parametrize(
    "document",
    [
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...Nowhere }",
        "{ viewer { ...A } } fragment A on Viewer { ...A }",
        "{",
        "",
        "{ __typename } { __typename }",
        "subscription { __typename }",
        "{ viewer }",
        "{ keys(first: 1.5) { totalCount } }",
        "{ keys(first: null) { totalCount } }",
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
    ],
)
async def test_a_wrong_document_is_the_callers_fault(ask: Ask, owner: Actor, document: str) -> None:
    for actor in (owner, None):
        result = await ask(actor, document)
        assert not result.has_started
        assert set(codes(result)) == {"BAD_DOCUMENT"}


@pytest.mark.parametrize(
    "document",
    [
        "{ " + f"{KEY_FIELD} {{ id }} " * 50 + "}",
        "{ " + "keys { nodes { id name } } " * 50 + "}",
        "{ viewer { " + "...A " * 50 + "} } fragment A on Viewer { role }",
    ],
)
def test_the_worst_documents_that_are_allowed_are_checked_in_100_ms(document: str) -> None:
    assert prepare(schema.graphql_schema, document, is_anonymous=True).document is not None
    assert seconds_to_prepare(document) < 0.1


async def test_introspection_is_for_those_who_are_known(ask: Ask, owner: Actor) -> None:
    document = get_introspection_query()
    known = await ask(owner, document)
    assert not known.errors
    assert codes(await ask(None, document))[0] == "BAD_DOCUMENT"
    assert codes(await ask(None, '{ __type(name: "Key") { name } }')) == ["BAD_DOCUMENT"]
    assert (await ask(None, "{ __typename }")).data == {"__typename": "Query"}


async def test_suggestions_are_for_those_who_are_known(ask: Ask, owner: Actor) -> None:
    variable = "query Q($input: [UsageFilter!]) { __typename }"
    for document, variables in (("{ viewr { role } }", {}), (variable, {"input": [{"resorce": "a"}]})):
        known = await ask(owner, document, **variables)
        unknown = await ask(None, document, **variables)
        assert "Did you mean" not in unknown.errors[0].message
        assert "Did you mean" in known.errors[0].message or "$input" in document


def test_measure_counts_expanded_fragments_once_each_place() -> None:
    document = parse("""
        query A { a: viewer @include(if: true) { ...V } ...Q }
        query B { ...Q }
        fragment Q on Query { viewer { ...V } }
        fragment V on Viewer { person { name } ... on Viewer @skip(if: false) { role } }
    """)
    assert measure(document) == Size(depth=2, fields=12, aliases=1, directives=4, repeats=1)
