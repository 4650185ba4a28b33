"""What a request caused is told from what happened to run meanwhile."""

from tests.walks.attribution import Activity, Call, Walk, collect_idle, intersect, select_caused

REQUEST = Activity(("task", "run_asgi"))
LINK = Activity(("callback", "link.py", "data_received"))
SHIPPER = Activity("the shipper's task", is_older=True)
WATCH = Activity("the watch's task", is_older=True)
IDLE = collect_idle(
    [
        Call(LINK, "link.py", "data_received"),
        Call(SHIPPER, "shipper.py", "run_once"),
        Call(SHIPPER, "segments.py", "list_segments"),
        Call(WATCH, "watch.py", "look"),
    ]
)


def files(calls: list[Call], *, with_background: bool = True) -> list[str]:
    return [call.file for call in select_caused(calls, IDLE, with_background=with_background)]


def test_a_new_activity_belongs_to_the_request() -> None:
    assert files([Call(REQUEST, "page.py", "show"), Call(WATCH, "watch.py", "look")]) == ["page.py"]


def test_an_activity_that_does_what_it_always_does_is_left_out() -> None:
    assert files([Call(LINK, "link.py", "data_received"), Call(SHIPPER, "shipper.py", "run_once")]) == []


def test_an_activity_that_does_more_than_when_idle_belongs_with_all_it_calls() -> None:
    calls = [Call(LINK, "link.py", "data_received"), Call(LINK, "checker.py", "decide")]
    assert files(calls) == ["link.py", "checker.py"]


def test_an_older_task_belongs_only_to_a_walk_behind_the_answer() -> None:
    calls = [Call(SHIPPER, "shipper.py", "run_once"), Call(SHIPPER, "frames.py", "decode")]
    assert files(calls) == ["shipper.py", "frames.py"]
    assert files(calls, with_background=False) == []


def test_a_coroutine_that_goes_on_is_no_reason() -> None:
    calls = [Call(SHIPPER, "worker.py", "keep_running", is_resumed=True), Call(SHIPPER, "shipper.py", "run_once")]
    assert files(calls) == []
    assert files([*calls, Call(SHIPPER, "frames.py", "decode")]) == ["worker.py", "shipper.py", "frames.py"]


def test_a_file_counts_when_every_repetition_entered_it() -> None:
    one = [Call(REQUEST, "c.py", "c"), Call(REQUEST, "a.py", "a"), Call(REQUEST, "token.py", "reload")]
    other = [Call(REQUEST, "b.py", "b"), Call(REQUEST, "a.py", "a"), Call(REQUEST, "c.py", "c")]
    assert intersect([one, other]) == Walk(("a.py", "c.py"), ("b.py", "token.py"))
