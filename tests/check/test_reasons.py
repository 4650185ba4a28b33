"""Every code is explained, and every denial tells what to do."""

import pytest

from portal.check import Code, reason_of


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_reason(code: Code) -> None:
    reason = reason_of(code.value)
    assert reason.what.endswith(".")
    assert (reason.remedy is None) == (code in (Code.VALID, Code.EXPLAINED))


def test_a_code_of_another_version_is_not_a_failure() -> None:
    assert reason_of("TEAPOT").remedy is not None
