"""Geometry of the charts."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.pages.framework.chart import NARROW, SMALL, TOP, WIDE, Lines, Shape, Step, draw, merge, scale, spark

NAMES = ("allowed", "denied")


def days(*pairs: tuple[int, int]) -> list[Step]:
    return [Step(f"{day} Nov", f"{day} Nov", pair) for day, pair in enumerate(pairs, start=1)]


def heights(path: str) -> list[float]:
    return [float(text) for text in re.findall(r"v([\d.]+)h", path)]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, (1, 4)),
        (3, (1, 4)),
        (5, (2, 6)),
        (10, (5, 10)),
        (97, (50, 100)),
        (100, (50, 100)),
        (53_189, (20_000, 60_000)),
    ],
)
def test_axis_steps_are_round(highest: int, expected: tuple[int, int]) -> None:
    assert scale(highest) == expected


@given(st.integers(min_value=0, max_value=10**12))
def test_axis_holds_the_highest_in_few_steps(highest: int) -> None:
    step, top = scale(highest)
    assert top >= highest
    assert 1 <= round(top / step) <= 6
    assert step == int(step)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=200))
def test_bars_stay_inside_the_drawing(pairs: list[tuple[int, int]]) -> None:
    for shape in (WIDE, NARROW, SMALL):
        drawing = draw(days(*pairs), NAMES, shape)
        for path in drawing.paths:
            for x, y in re.findall(r"M([\d.-]+) ([\d.-]+)", path):
                assert shape.left <= float(x) <= shape.width
                assert TOP - 2 <= float(y) <= drawing.floor_y


def test_heights_are_in_proportion_and_stacked() -> None:
    drawing = draw(days((100, 0), (50, 50)), NAMES, WIDE)
    first, second = heights(drawing.paths[0])
    (denied,) = heights(drawing.paths[1])
    assert first == pytest.approx(2 * second, abs=0.2)
    assert second + denied == pytest.approx(first, abs=0.2)


def test_a_single_call_among_millions_can_be_seen() -> None:
    drawing = draw(days((5_000_000, 1)), NAMES, WIDE)
    assert heights(drawing.paths[1]) == [1.0]


def test_the_pace_is_left_out_where_it_would_flatten_the_bars() -> None:
    steps = days((100, 0), (80, 0))
    assert draw(steps, NAMES, WIDE, Lines(150)).limit_y is not None
    assert draw(steps, NAMES, WIDE, Lines(161)).limit_y is None
    assert draw(days((0, 0)), NAMES, WIDE, Lines(10)).limit_y is None


def test_narrow_screens_get_fewer_bars_with_the_same_sum() -> None:
    hours = [Step(f"{hour}", "16 Nov" if hour % 24 == 0 else "", (hour, 1)) for hour in range(168)]
    drawing = draw(hours, NAMES, NARROW)
    assert drawing.steps_a_bar == 4
    assert len(drawing.strips) == 42
    merged = merge(hours, 4)
    assert sum(bar.values[0] for bar in merged) == sum(range(168))
    assert merged[0].label == "16 Nov"


@pytest.mark.parametrize("shape", [WIDE, NARROW, SMALL])
@pytest.mark.parametrize("count", [1, 7, 24, 30, 92])
def test_labels_do_not_touch(shape: Shape, count: int) -> None:
    drawing = draw(days(*[(1, 0)] * count), NAMES, shape)
    ats = [tick.at for tick in drawing.columns]
    assert ats
    assert all(right - left >= shape.label_width for left, right in pairwise(ats))


def test_each_step_shows_its_figures() -> None:
    drawing = draw(days((1200, 3), (0, 0)), NAMES, WIDE)
    assert drawing.strips[0].text == "1 Nov: 1,200 allowed · 3 denied"
    assert drawing.strips[1].text == "2 Nov: 0 in total"


def test_a_spark_spans_its_width() -> None:
    line = spark([0, 5, 10])
    assert line.startswith("M1.0 19.0L")
    assert line.endswith("L83.0 3.0")
    assert spark([0, 0]) == spark([]) == ""


def test_the_stretch_before_is_a_line_through_the_bars_that_fits_on_the_axis() -> None:
    drawing = draw(days((10, 0), (20, 0)), NAMES, WIDE, Lines(before=[90, 10]))
    points = [tuple(map(float, point.split())) for point in drawing.before[1:].split("L")]
    assert len(points) == 2
    assert TOP <= points[0][1] < points[1][1] <= drawing.floor_y
    assert drawing.rows[-1].text == "100"
    assert draw(days((10, 0)), NAMES, WIDE).before == ""


def test_the_line_is_merged_like_the_bars() -> None:
    drawing = draw(days(*[(1, 0)] * 96), NAMES, NARROW, Lines(before=[1] * 96))
    assert drawing.steps_a_bar == 2
    assert drawing.before.count("L") == 47
