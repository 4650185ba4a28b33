"""From the text of a request to a document that is safe to run: bounded, parsed, validated.

The bounds come before validation, since some of its rules take time that grows with the square of the fields. They are
measured here in one walk that visits each fragment once: the limiters that Strawberry brings walk a fragment again at
each place that spreads it, so a few dozen fragments that spread the next one twice would keep them busy for ever.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    Lexer,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from portal.graphql.engine.errors import request_error

MAX_CHARACTERS = 15_000
MAX_TOKENS = 1_000
MAX_DEPTH = 10
MAX_ALIASES = 15
MAX_DIRECTIVES = 50
MAX_FIELDS = 400
MAX_REPEATS = 50
MAX_ERRORS = 10
MAX_CACHED = 128
MAX_NESTING = 60
_BRACKETS = {
    TokenKind.BRACE_L: 1,
    TokenKind.BRACKET_L: 1,
    TokenKind.PAREN_L: 1,
    TokenKind.BRACE_R: -1,
    TokenKind.BRACKET_R: -1,
    TokenKind.PAREN_R: -1,
}
_RULES = (*specified_rules, OneOfInputValidationRule)


@dataclass(frozen=True, slots=True)
class Size:
    """How much a document asks for once its fragments are expanded. Introspection adds no depth.

    `repeats` is how often the document writes the field that it writes most: validation compares those by pairs.
    """

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0

    def beside(self, other: "Size") -> "Size":
        return Size(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that may run, or why not."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()


def prepare(schema: GraphQLSchema, text: str, *, is_anonymous: bool) -> Prepared:
    """Parse and validate a document. Anonymous callers get no introspection, suggestions or place in the cache."""
    return _prepare(schema, text, is_anonymous=True) if is_anonymous else _prepare_cached(schema, text)


@lru_cache(maxsize=MAX_CACHED)
def _prepare_cached(schema: GraphQLSchema, text: str) -> Prepared:
    return _prepare(schema, text, is_anonymous=False)


def _prepare(schema: GraphQLSchema, text: str, *, is_anonymous: bool) -> Prepared:
    if len(text) > MAX_CHARACTERS:
        return _too_large(f"The document has {len(text)} characters; at most {MAX_CHARACTERS} are allowed.")
    try:
        if _nesting(text) > MAX_NESTING:
            return _too_large("The document is nested too deeply.")
        document = parse(text, max_tokens=MAX_TOKENS)
        excess = _excess(measure(document))
        if excess:
            return _too_large(excess)
        rules = (*_RULES, NoSchemaIntrospectionCustomRule) if is_anonymous else _RULES
        errors = validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=is_anonymous)
    except GraphQLError as error:
        errors = [error]
    except RecursionError:
        return _too_large("The document is nested too deeply.")
    if errors:
        return Prepared(None, tuple(_coded(error) for error in errors))
    return Prepared(document)


def _nesting(text: str) -> int:
    """Return how deep the brackets nest, without recursion, so that the parser's own cannot run out of stack."""
    lexer = Lexer(Source(text))
    deepest = depth = count = 0
    while (token := lexer.advance()).kind is not TokenKind.EOF and count <= MAX_TOKENS:
        count += 1
        depth += _BRACKETS.get(token.kind, 0)
        deepest = max(deepest, depth)
    return deepest


def measure(document: DocumentNode) -> Size:
    """Return the size of all operations together."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    walk = _Walk(fragments)
    total = Size()
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            total = total.beside(walk.selections(node.selection_set)).beside(
                Size(directives=len(node.directives or ()))
            )
    return replace(total, repeats=max(walk.occurrences.values(), default=0))


class _Walk:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, Size] = {}
        self.occurrences: Counter[str] = Counter()

    def selections(self, selection_set: SelectionSetNode | None) -> Size:
        total = Size()
        for node in selection_set.selections if selection_set else ():
            if isinstance(node, FragmentSpreadNode):
                inner = self._fragment(node.name.value)
            elif isinstance(node, FieldNode):
                inner = self._field(node)
            else:
                inner = self.selections(node.selection_set)  # type: ignore[attr-defined]  # the third kind: inline fragments
            total = total.beside(inner).beside(Size(directives=len(node.directives or ())))
        return total

    def _field(self, node: FieldNode) -> Size:
        self.occurrences[(node.alias or node.name).value] += 1
        inner = self.selections(node.selection_set)
        depth = 0 if node.name.value.startswith("__") else inner.depth + (node.selection_set is not None)
        return Size(depth, inner.fields + 1, inner.aliases + (node.alias is not None), inner.directives)

    def _fragment(self, name: str) -> Size:
        """Return the size of a fragment. One that spreads itself counts nothing there: validation refuses it."""
        if name not in self._known:
            self._known[name] = Size()
            node = self._fragments.get(name)
            self._known[name] = self.selections(node.selection_set) if node else Size()
        return self._known[name]


def _excess(size: Size) -> str | None:
    bounds = (
        ("levels", size.depth, MAX_DEPTH),
        ("fields", size.fields, MAX_FIELDS),
        ("aliases", size.aliases, MAX_ALIASES),
        ("directives", size.directives, MAX_DIRECTIVES),
        ("fields of one name", size.repeats, MAX_REPEATS),
    )
    for what, count, most in bounds:
        if count > most:
            shown = count if count < 10**9 else "far too many"
            return f"The document, its fragments expanded, has {shown} {what}; at most {most} are allowed."
    return None


def _too_large(message: str) -> Prepared:
    return Prepared(None, (request_error("TOO_LARGE", message, "Split it into smaller requests."),))


def _coded(error: GraphQLError) -> GraphQLError:
    return GraphQLError(error.message, error.nodes, error.source, error.positions, extensions={"code": "BAD_DOCUMENT"})
