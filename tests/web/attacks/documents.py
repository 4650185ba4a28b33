"""Hostile documents, in families: each is refused before anything of it runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LARGE = frozenset({"TOO_LARGE"})
BAD = frozenset({"BAD_DOCUMENT"})
LARGE_OR_BAD = LARGE | BAD
KEY = 'key(id: "key_1")'
CREATE = 'createKey(input: {name: "Attack"}) { __typename }'


@dataclass(frozen=True)
class Document:
    """`codes`: with one of which it is refused. `is_anonymous`: sent by nobody."""

    name: str
    text: str
    codes: frozenset[str]
    variables: dict[str, Any] = field(default_factory=dict)
    is_anonymous: bool = False


def documents() -> list[Document]:
    families = (
        aliases,
        fields,
        fragments,
        circles,
        directives,
        depths,
        introspection,
        floods,
        numbers_and_texts,
        variables,
        costs,
        operations,
    )
    return [document for family in families for document in family()]


def aliases() -> Iterator[Document]:
    """The same work under many names."""
    for inner in ("__typename", "viewer { role }", f"{KEY} {{ id }}", "keys { totalCount }", "plans { id }"):
        for count in (16, 40, 150):
            asked = " ".join(f"a{n}: {inner}" for n in range(count))
            yield Document(f"aliases-{count}-{inner[:8]}", f"{{ {asked} }}", LARGE_OR_BAD)
    for count in (16, 60):
        asked = " ".join(f"a{n}: {CREATE}" for n in range(count))
        yield Document(f"aliases-mutation-{count}", f"mutation {{ {asked} }}", LARGE_OR_BAD)
    spread = "fragment A on Query { a: viewer { role } b: viewer { role } }"
    for count in (8, 40):
        yield Document(f"aliases-spread-{count}", "{ " + "...A " * count + "} " + spread, LARGE)


def fields() -> Iterator[Document]:
    """Validation compares fields of one name by pairs."""
    for inner in ("__typename", "viewer { role }", f"{KEY} {{ id }}", "keys { nodes { id } }", "nothing"):
        for count in (51, 130, 450):
            yield Document(f"fields-{count}-{inner[:8]}", "{ " + f"{inner} " * count + "}", LARGE_OR_BAD)
    wide = " ".join(f"f{n}" for n in range(401))
    yield Document("fields-wide", f"{{ {wide} }}", LARGE)
    yield Document("fields-mutation", "mutation { " + f"{CREATE} " * 60 + "}", LARGE)


def fragments() -> Iterator[Document]:
    """Few lines that expand to very many fields."""
    for kind, leaf in (("Viewer", "role"), ("Account", "name"), ("Person", "email")):
        for levels in (9, 20, 40, 60):
            chain = " ".join(f"fragment F{n} on {kind} {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
            text = f"{{ viewer {{ ...F0 }} }} {chain} fragment F{levels} on {kind} {{ {leaf} }}"
            yield Document(f"fragments-{kind}-{levels}", text, LARGE_OR_BAD)
    for levels in (5, 12):
        chain = " ".join(
            f"fragment F{n} on Query {{ ... on Query {{ ...F{n + 1} ...F{n + 1} ...F{n + 1} }} }}"
            for n in range(levels)
        )
        text = f"{{ ...F0 ...F0 }} {chain} fragment F{levels} on Query {{ viewer {{ role }} }}"
        yield Document(f"fragments-inline-{levels}", text, LARGE)
    yield Document("fragments-unused", "{ __typename } fragment A on Query { __typename }", BAD)
    yield Document("fragments-missing", "{ ...Nowhere }", BAD)
    yield Document("fragments-of-nothing", "{ ...A } fragment A on Nothing { a }", BAD)
    yield Document("fragments-of-scalar", "{ ...A } fragment A on String { a }", BAD)
    yield Document("fragments-twice", "{ ...A } fragment A on Query { __typename } fragment A on Query { plans }", BAD)


def circles() -> Iterator[Document]:
    """Fragments that come back to themselves."""
    for kind, start in (("Query", "{ ...C0 }"), ("Viewer", "{ viewer { ...C0 } }")):
        for length in range(1, 7):
            chain = " ".join(f"fragment C{n} on {kind} {{ ...C{(n + 1) % length} }}" for n in range(length))
            yield Document(f"circle-{kind}-{length}", f"{start} {chain}", BAD)
    yield Document("circle-inline", "{ ...A } fragment A on Query { ... on Query { ...A } }", BAD)
    yield Document(
        "circle-two-ways", "{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A ...A }", BAD
    )
    yield Document("circle-unused", "{ __typename } fragment A on Query { ...A }", BAD)


def directives() -> Iterator[Document]:
    for count in (51, 120, 330):
        skip, include = "@skip(if: false) " * count, "@include(if: true) " * count
        yield Document(f"directives-field-{count}", f"{{ __typename {skip}}}", LARGE_OR_BAD)
        yield Document(f"directives-both-{count}", f"{{ __typename {skip}{include}}}", LARGE_OR_BAD)
        yield Document(f"directives-inline-{count}", f"{{ ... {include}{{ __typename }} }}", LARGE_OR_BAD)
        yield Document(f"directives-operation-{count}", f"query A {skip}{{ __typename }}", LARGE_OR_BAD)
    spread = "fragment A on Query { __typename @skip(if: false) }"
    yield Document("directives-spread", "{ " + "...A @include(if: true) " * 30 + "} " + spread, LARGE)
    for name in ("@nothing", "@defer", "@stream", "@skip", "@skip(if: 1)", "@deprecated", "@include(if: $no)"):
        yield Document(f"directives-wrong-{name}", f"{{ viewer {name} {{ role }} }}", BAD)


def depths() -> Iterator[Document]:
    """Nesting: of fields, lists and objects, as far as the text allows."""
    for levels in (11, 30, 100, 330):
        yield Document(f"depth-fields-{levels}", "{ a " * levels + "}" * levels, LARGE_OR_BAD)
        yield Document(f"depth-inline-{levels}", "{ ... " * levels + "{ a }" + "}" * levels, LARGE_OR_BAD)
        nested = "[" * levels + "]" * levels
        yield Document(f"depth-list-{levels}", f"query ($a: [Int] = {nested}) {{ __typename }}", LARGE_OR_BAD)
        objects = "{a:" * levels + "1" + "}" * levels
        yield Document(
            f"depth-object-{levels}", f"mutation {{ createKey(input: {objects}) {{ __typename }} }}", LARGE_OR_BAD
        )
        kind = "[" * levels + "Int" + "]" * levels
        yield Document(f"depth-type-{levels}", f"query ($a: {kind}) {{ __typename }}", LARGE_OR_BAD)
    chain = " ".join(f"fragment F{n} on Node {{ ... on Key {{ usage {{ ...F{n + 1} }} }} }}" for n in range(20))
    yield Document("depth-fragments", f"{{ viewer {{ ...F0 }} }} {chain} fragment F20 on Node {{ id }}", LARGE_OR_BAD)


def introspection() -> Iterator[Document]:
    """Nobody learns the schema; who is known cannot walk it in circles."""
    whole = "types { name fields { name args { name } type { name ofType { name } } } }"
    texts = (
        "{ __schema { queryType { name } } }",
        "{ __schema { mutationType { fields { name } } } }",
        "{ __schema { directives { name } } }",
        f"{{ __schema {{ {whole} }} }}",
        '{ __type(name: "Key") { name } }',
        '{ __type(name: "Query") { fields { name } } }',
        "query ($n: String!) { __type(name: $n) { name } }",
        "{ ...A } fragment A on Query { __schema { types { name } } }",
        "{ ... on Query { __schema { types { name } } } }",
        "{ s: __schema { types { name } } }",
        "{ viewer { role } __schema { types { name } } }",
        "mutation { __schema { types { name } } }",
    )
    for number, text in enumerate(texts):
        yield Document(f"introspection-{number}", text, BAD, {"n": "Key"} if "$n" in text else {}, is_anonymous=True)
    for text in ("{ viewr { role } }", "{ key(idd: 1) { id } }", "{ keys(environment: LIVEE) { totalCount } }"):
        yield Document(f"suggestion-{text[2:8]}", text, BAD, is_anonymous=True)
    for levels in (3, 4, 6):
        circle = "types { fields { type { " + "fields { type { " * levels + "name" + " } }" * levels + " } } }"
        yield Document(f"introspection-circle-{levels}", f"{{ __schema {{ {circle} }} }}", LARGE_OR_BAD)


def floods() -> Iterator[Document]:
    """Text that means nothing."""
    for name, unit in (
        ("comment", "#x\n"),
        ("comma", ","),
        ("space", " "),
        ("line", "\n"),
        ("bom", "\ufeff"),
        ("tab", "\t"),
    ):
        for size in (15_001, 60_000):
            yield Document(f"flood-{name}-{size}", "{ __typename }" + unit * (size // len(unit)), LARGE)
    yield Document("flood-one-comment", "{ __typename } #" + "x" * 15_000, LARGE)
    for name, unit in (
        ("name", "a "),
        ("brace", "{ "),
        ("bang", "! "),
        ("dollar", "$ "),
        ("number", "1 "),
        ("text", '"" '),
    ):
        yield Document(f"tokens-{name}", "{ " + unit * 1_001 + "}", LARGE_OR_BAD)
    for name, text in (
        ("nul", "{ \x00 }"),
        ("control", "{ \x07 }"),
        ("surrogate", '{ key(id: "\\ud800") { id } }'),
        ("escape", '{ key(id: "\\u{110000}") { id } }'),
        ("unclosed-text", '{ key(id: "'),
        ("unclosed-block", '{ key(id: """'),
        ("unclosed-brace", "{ viewer {"),
        ("closed-twice", "{ __typename } }"),
        ("only-comment", "# nothing"),
        ("definition", "type Query { a: Int }"),
        ("extension", "extend type Query { a: Int } { a }"),
        ("two-nameless", "{ __typename } { __typename }"),
        ("two-of-a-name", "query A { __typename } query A { __typename }"),
    ):
        yield Document(f"broken-{name}", text, BAD)


def numbers_and_texts() -> Iterator[Document]:
    """Values that no argument can take."""
    for number in (
        "9" * 10,
        "9" * 400,
        "-" + "9" * 5_000,
        "1.5",
        "1e400",
        "1e999999999",
        "00",
        "0x10",
        "true",
        '"5"',
        "null",
    ):
        yield Document(f"first-{number[:12]}", f"{{ keys(first: {number}) {{ totalCount }} }}", LARGE_OR_BAD)
    for when in ("2026", "x" * 5_000, "9999-99-99", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00", "-1"):
        usage = f'usage(from: "{when}", to: "{when}", granularity: DAY) {{ freshAt }}'
        yield Document(f"instant-{when[:10]}", f"{{ {usage} }}", BAD)


def variables() -> Iterator[Document]:
    """The document is fine, what comes with it is not."""
    wrong = frozenset({"BAD_VARIABLES"})
    page = "query ($n: Int) { keys(first: $n) { totalCount } }"
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    for number, value in enumerate((10**10, -(10**300), 1.5, "5", True, [1], {}, [[[[]]]], "x" * 80_000, deep)):
        yield Document(f"variable-int-{number}", page, LARGE if value is deep else wrong, {"n": value})
    for levels in (61, 300, 700, *range(900, 932, 4)):
        lists: Any = []
        for _ in range(levels):
            lists = [lists]
        yield Document(f"variable-unused-{levels}", "{ __typename }", LARGE, {"unused": lists})
    create = "mutation ($input: CreateKeyInput!) { createKey(input: $input) { __typename } }"
    metadata: Any = 1
    for _ in range(50):
        metadata = [metadata]
    for number, value in enumerate(
        (
            None,
            [],
            "x",
            {},
            {"name": 7},
            {"name": "A", "nothing": 1},
            {"name": "A", "scopes": {}},
            {"name": "A", "environment": "PRODUCTION"},
            {"name": "A", "expiresAt": "soon"},
            {"name": "A", "metadata": metadata},
            {"name": "A", "limits": [{"name": "a"}]},
            {"name": "A", "limits": [None]},
            {"name": "A", **{f"x{n}": n for n in range(2_000)}},
        )
    ):
        yield Document(f"variable-input-{number}", create, wrong, {"input": value})
    many = ", ".join(f"$v{n}: Int" for n in range(240))
    yield Document("variables-unused", f"query ({many}) {{ __typename }}", LARGE_OR_BAD)
    yield Document("variable-missing", "query ($id: ID!) { key(id: $id) { id } }", wrong)


def costs() -> Iterator[Document]:
    """Small documents that would read very much."""
    costly = frozenset({"TOO_COSTLY"})
    usage = 'usage(from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z", granularity: DAY)'
    for kind in ("KEY", "RESOURCE", "OUTCOME"):
        inner = usage[:-1] + f", groupBy: {kind}) {{ points {{ at groups {{ key totals {{ calls units }} }} }} }}"
        yield Document(f"cost-{kind}", f"{{ keys(first: 100) {{ nodes {{ {inner} }} }} }}", costly)
        yield Document(f"cost-edges-{kind}", f"{{ keys(first: 100) {{ edges {{ node {{ {inner} }} }} }} }}", costly)
    inner = f"{usage} {{ points {{ at totals {{ calls }} groups {{ key label totals {{ calls }} }} }} }}"
    text = f"query ($n: Int!) {{ keys(first: $n) {{ nodes {{ {inner} }} }} }}"
    for asked in (60, 100, 2_000_000_000):
        yield Document(f"cost-variable-{asked}", text, costly, {"n": asked})


def operations() -> Iterator[Document]:
    """Operations that this address does not run."""
    yield Document("operation-subscription", "subscription { usageTicks { calls } }", frozenset({"SUBSCRIPTION"}))
    yield Document("operation-many", "subscription { usageTicks { at } keyChanged { at } }", BAD)
    for count in (2, 50):
        text = " ".join(f"query Q{n} {{ __typename }}" for n in range(count))
        yield Document(f"operation-unnamed-{count}", text, frozenset({"BAD_OPERATION"}))
