"""What an operation costs, known before it runs: how much work its fields are, at most.

A field costs 1, whatever stands below a page of `first: 25` costs 25 times as much, the points of a series as many as
its stretch has steps, a list without a page counts as ten rows, and a few fields that read much have a weight of their
own. `@skip` and `@include` change nothing: it is a bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)

from portal.graphql.types.usage import MAX_FIGURES

MAX_COST = 20_000
ROWS_ASSUMED = 10
MAX_PAGE = 100
MUTATION_WEIGHT = 10
INTROSPECTION_COST = 100
WEIGHTS = {
    "Query.usage": 50,
    "Key.usage": 50,
    "Usage.previous": 50,
    "Query.topUsage": 50,
    "Quota.forecast": 50,
    "PlanChangePreview.monthAtPace": 5,
    "Query.keysNeedingAttention": 50,
    "Query.auditChain": 50,
    "UsageRequestConnection.totalCount": 20,
    "KeyConnection.totalCount": 5,
    "Query.draftInvoice": 50,
    "Query.node": 5,
}
PAGES = ("first", "last")
SERIES = frozenset({"Usage.points", "UsageBefore.points"})
POINTS_ASSUMED = 50
MAX_POINTS = 1_500
GROUPS = "UsagePoint.groups"
GROUPS_ASSUMED = 5
MAX_SECONDS_BY_MINUTE = 86_400
STEP_SECONDS = {"MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "MONTH": 28 * 86_400}


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """Return the cost of a validated document's operation."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    given = {**_defaults(operation), **variables}
    root = schema.get_root_type(operation.operation)
    weight = MUTATION_WEIGHT if operation.operation is OperationType.MUTATION else 0
    return _Count(schema, fragments, given, weight).selections(operation.selection_set, root, is_root=True)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        node.variable.name.value: value_from_ast_untyped(node.default_value)
        for node in operation.variable_definitions or ()
        if node.default_value is not None
    }


@dataclass(frozen=True, slots=True)
class _Count:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    root_weight: int
    points: int = POINTS_ASSUMED
    """Of the series that this is below."""

    def selections(self, selected: SelectionSetNode | None, parent: Any, *, is_root: bool = False) -> int:
        total = 0
        for node in selected.selections if selected else ():
            if isinstance(node, FieldNode):
                total += self._field(node, parent, is_root=is_root)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                kind = self.schema.type_map[fragment.type_condition.name.value]
                total += self.selections(fragment.selection_set, kind, is_root=is_root)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                kind = self.schema.type_map[condition.name.value] if condition else parent
                total += self.selections(node.selection_set, kind, is_root=is_root)
        return total

    def _field(self, node: FieldNode, parent: Any, *, is_root: bool) -> int:
        name = node.name.value
        if name == "__typename":
            return 0
        if name.startswith("__"):
            return INTROSPECTION_COST
        field: GraphQLField = parent.fields[name]
        path = f"{parent.name}.{name}"
        within = replace(self, points=self._steps(node)) if "granularity" in field.args else self
        inner = within.selections(node.selection_set, get_named_type(field.type))
        weight = WEIGHTS.get(path, 1) + (self.root_weight if is_root else 0)
        return weight + inner * self._rows(node, field, path)

    def _rows(self, node: FieldNode, field: GraphQLField, path: str) -> int:
        """Return how often the fields below occur at most. The lists of a page have the page's rows already."""
        for page in PAGES:
            if page in field.args:
                return self._page(node, page, field.args[page].default_value)
        if not is_list_type(get_nullable_type(field.type)) or path.partition(".")[0].endswith("Connection"):
            return 1
        if path in SERIES:
            return self.points
        if path == GROUPS:
            return min(GROUPS_ASSUMED, -(-MAX_FIGURES // self.points))
        return ROWS_ASSUMED

    def _page(self, node: FieldNode, page: str, default: Any) -> int:
        size = self._given(node, page)
        if not isinstance(size, int):
            size = default
        return max(1, min(size, MAX_PAGE)) if isinstance(size, int) else MAX_PAGE

    def _steps(self, node: FieldNode) -> int:
        """Return how many points a series has at most; its first and last step may be short.

        A series that is certainly refused for its length reads nothing, and is refused for that, not for its cost.
        """
        granularity = self._given(node, "granularity")
        try:
            start, end = (datetime.fromisoformat(self._given(node, name)) for name in ("from", "to"))
            seconds = (end - start).total_seconds()
        except (TypeError, ValueError):
            return POINTS_ASSUMED
        step = STEP_SECONDS["DAY"] if granularity is Undefined else STEP_SECONDS.get(granularity, 60)
        points = max(1, int(seconds // step) + 2)
        if points > 2 * MAX_POINTS or (granularity == "MINUTE" and seconds > MAX_SECONDS_BY_MINUTE):
            return POINTS_ASSUMED
        return min(points, MAX_POINTS)

    def _given(self, node: FieldNode, name: str) -> Any:
        """Return an argument's value; Undefined where its default holds."""
        given = next((argument.value for argument in node.arguments or () if argument.name.value == name), None)
        if given is None:
            return Undefined
        try:
            return value_from_ast_untyped(given, dict(self.variables))
        except GraphQLError:
            return Undefined
