"""Which connection goes for a new one, and how many there may be."""

import resource

from web.connection.budget import ConnectionBudget, Rank, measure_capacity


class Held:
    """What the budget sees of a connection."""

    def __init__(self, *, is_idle: bool = True) -> None:
        self.is_idle = is_idle
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_who_has_shown_least_goes_first_and_gateways_never() -> None:
    budget = ConnectionBudget(5)
    gateway, person, busy, anonymous, silent = (Held(is_idle=number != 2) for number in range(5))
    for number, connection in enumerate((gateway, person, busy, anonymous, silent)):
        assert budget.admit(connection, f"203.0.113.{number}")
    budget.prove(gateway, Rank.GATEWAY)
    budget.prove(person, Rank.PERSON)
    budget.prove(busy, Rank.PERSON)
    budget.touch(anonymous)
    for number, goes in enumerate((silent, anonymous, person)):
        new = Held()
        assert budget.admit(new, f"203.0.113.{10 + number}")
        assert goes.is_aborted
        budget.prove(new, Rank.GATEWAY)
    assert not budget.admit(Held(), "203.0.113.20")
    assert not gateway.is_aborted
    assert not busy.is_aborted
    assert len(budget) == 5


def test_a_flood_from_one_address_ends_itself_first() -> None:
    budget = ConnectionBudget(100, 10)
    others = [Held() for _ in range(50)]
    for number, connection in enumerate(others):
        assert budget.admit(connection, f"198.51.100.{number}")
    flood = [Held() for _ in range(500)]
    for connection in flood:
        assert budget.admit(connection, "2001:db8::1")
    for number, connection in enumerate(flood):
        budget.touch(connection)
        assert budget.admit(Held(), f"2001:db8:0:0:{number:x}::2")
    assert not any(connection.is_aborted for connection in others)
    assert len(budget) == 60


def test_exempt_addresses_and_gateways_have_no_share() -> None:
    budget = ConnectionBudget(100, 2, is_exempt=lambda address: address == "10.0.0.1")
    for _ in range(20):
        assert budget.admit(Held(), "10.0.0.1")
        gateway = Held()
        assert budget.admit(gateway, "10.0.0.2")
        budget.prove(gateway, Rank.GATEWAY)
    assert len(budget) == 40


def test_the_budget_stays_below_the_descriptors() -> None:

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        assert measure_capacity(100_000_000, 100) < hard
        assert measure_capacity(100, 10) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_new_connection_has_time_for_its_first_request() -> None:
    """It does not go before those that sent one request and then nothing, however many come at once."""
    budget = ConnectionBudget(20, 20)
    idle = [Held() for _ in range(20)]
    for connection in idle:
        assert budget.admit(connection, "203.0.113.9")
        budget.touch(connection)
    new = [Held() for _ in range(10)]
    for connection in new:
        assert budget.admit(connection, "203.0.113.9")
    assert not any(connection.is_aborted for connection in new)
    assert [connection.is_aborted for connection in idle] == [True] * 10 + [False] * 10
