"""GraphQL requests made up for the fuzz test: documents whose arguments were lifted into variables of any shape."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ArgumentNode,
    NameNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    build_schema,
    parse,
    print_ast,
    value_from_ast_untyped,
    visit,
)
from hypothesis import strategies as st

from portal.graphql import sdl

SCHEMA = build_schema(sdl())
DEEPER = re.compile(r"@?deep(\d+)")
MAX_ADDRESS = 8_000
HOW = st.sampled_from(("right",) * 37 + ("any", "spoilt", "absent"))
RARELY = st.sampled_from((False,) * 9 + (True,))
RAW = re.compile(r'"@([^"]*)"')
SOLITARY = ("\ud800", "a\udfffb", "\udc00\ud800")
STRANGE = (*SOLITARY, "\x00", "a\x00b", "", "\u202e", "é" * 300, "x" * 5_000, "key_\x00", "__proto__", "$v0", "'; --")
WRITTEN = ("@1e999", "@-1e999", "@-0", "@1.0", "@1e5", "@0.1e-400", "@NaN", "@01", "@deep300")
WRONG_TYPES = ("Int", "String!", "[ID]", "JSON", "[[Boolean!]!]!", "CreateKeyInput", "Nothing")
DEEP = (59, 60, 61, 200, 900, 5_000, 40_000)
HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": (
        "*/*",
        "application/json",
        "application/graphql-response+json",
        "text/event-stream",
        "text/html",
        "application/json;q=nan, */*;q=-1",
        ",;=",
    ),
    "Accept-Encoding": ("gzip", "gzip;q=0", "br", "gzip;q=x", ";;"),
    "Idempotency-Key": ("once", "twice", "", "x" * 256, "é", '"quoted"'),
    "Content-Type": (
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "text/x",
    ),
    "Origin": ("http://127.0.0.1:8000", "https://elsewhere.example", "null", "http://["),
    "Sec-Fetch-Site": ("same-origin", "cross-site", "none"),
    "Last-Event-ID": ("7", "é"),
    "X-Forwarded-For": ("192.0.2.1", "é, \x01"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`method` and `path`, and the JSON of the request: of the body, or of each parameter."""

    method: str
    path: str
    parts: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return written(self.parts).encode()

    @property
    def parameters(self) -> dict[str, str]:
        """An address can hold no half of a pair of surrogates."""
        plain = {name: part if isinstance(part, str) else written(part) for name, part in self.parts.items()}
        return {name: text.encode(errors="replace").decode() for name, text in plain.items()}

    @property
    def is_post(self) -> bool:
        """So is what is too long for an address."""
        return self.method == "POST" or len(self.body) > MAX_ADDRESS


def written(value: Any) -> str:
    """As JSON; a text that begins with @ is what stands behind it, which need not be JSON."""
    return DEEPER.sub(lambda found: "[" * int(found[1]) + "]" * int(found[1]), RAW.sub(r"\1", json.dumps(value)))


def texts() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(STRANGE), st.text(max_size=20))


def leaves() -> st.SearchStrategy[Any]:
    numbers = st.one_of(
        st.integers(-3, 120),
        st.sampled_from((2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 10**4_000, 0.1, -1e300)),
    )
    return st.one_of(st.none(), st.booleans(), numbers, texts(), st.sampled_from(WRITTEN))


def anything() -> st.SearchStrategy[Any]:
    """JSON of any shape, deep nests too."""
    shapes = st.recursive(
        leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.one_of(names(), texts()), inner, max_size=4)
        ),
        max_leaves=8,
    )
    return st.one_of(shapes, st.sampled_from(DEEP).map(lambda levels: f"@deep{levels}"))


def names() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ("id", "name", "from", "to", "scopes", "metadata", "filter", "action", "limits", "expiresAt")
    )


class _Lift(Visitor):
    """Puts a variable in place of some arguments."""

    def __init__(self, draw: st.DrawFn, types: TypeInfo) -> None:
        super().__init__()
        self._draw = draw
        self._types = types
        self.definitions: list[str] = []
        self.values: dict[str, Any] = {}

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode | None:
        argument = self._types.get_argument()
        if argument is None or self._draw(RARELY):
            return None
        name = f"v{len(self.definitions)}"
        kind = self._draw(st.sampled_from(WRONG_TYPES)) if self._draw(RARELY) and self._draw(RARELY) else argument.type
        self.definitions.append(f"${name}: {kind}")
        match self._draw(HOW):
            case "any":
                self.values[name] = self._draw(anything())
            case "spoilt":
                self.values[name] = self._spoilt(value_from_ast_untyped(node.value))
            case "absent":
                pass  # not given at all
            case _:
                self.values[name] = value_from_ast_untyped(node.value)
        return ArgumentNode(name=node.name, value=VariableNode(name=NameNode(value=name)))

    def _spoilt(self, value: Any) -> Any:
        """Right but for one place."""
        if isinstance(value, dict) and value:
            name = self._draw(st.sampled_from(sorted(value)))
            return value | {name: self._spoilt(value[name])}
        if isinstance(value, list) and value:
            return [self._spoilt(value[0]), *value[1:]]
        return self._draw(anything())


@st.composite
def asked(draw: st.DrawFn, documents: st.SearchStrategy[str]) -> Asked:
    """A request with one of the documents, its arguments lifted, and odd things around it."""
    types = TypeInfo(SCHEMA)
    lift = _Lift(draw, types)
    document = visit(parse(draw(documents)), TypeInfoVisitor(types, lift))
    text = print_ast(document)
    if lift.definitions:
        (operation,) = document.definitions
        kind, selections = operation.operation.value, print_ast(operation.selection_set)
        text = f"{kind} Q({', '.join(lift.definitions)}) {selections}"
    parts: dict[str, Any] = {"query": text, "variables": lift.values}
    headers: dict[str, str] = {}
    if draw(st.booleans()):
        parts["variables"] |= draw(st.dictionaries(texts(), anything(), max_size=1))
        odd = draw(st.sampled_from(sorted(HEADERS)))
        headers[odd] = draw(st.sampled_from(HEADERS[odd]))
    if draw(RARELY):
        parts["operationName"] = draw(st.one_of(st.sampled_from(("Q", "R", "")), leaves()))
    if draw(RARELY):
        name = draw(st.sampled_from(("variables", "extensions", "query", "operationName", "more")))
        parts[name] = draw(anything())
    method = "GET" if draw(RARELY) else "POST"
    return Asked(method, draw(st.sampled_from(("/graphql", "/graphql", "/graphql/stream"))), parts, headers)
