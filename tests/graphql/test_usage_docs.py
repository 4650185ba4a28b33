"""The examples of docs/usage-history.md are run as they stand."""

import re
from pathlib import Path

import pytest

from portal.core.actor import Actor
from tests.graphql.conftest import Answer

PAGE = (Path(__file__).parents[2] / "docs" / "usage-history.md").read_text()
EXAMPLES = re.findall(r"```graphql\n(.+?)```", PAGE, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("document", EXAMPLES)
async def test_an_example_answers(answer: Answer, owner: Actor, document: str) -> None:
    assert await answer(owner, document)
