"""Stacked bars over time, as geometry that a template writes down as SVG. Pure.

One drawing for wide and one for narrow screens, rather than one that is scaled until nobody can read it. Each series is
one path, which keeps a page of 168 hours small; each step has a strip of its own that shows its figures on hover.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from web.pages.framework.date_ranges import local_day
from web.pages.framework.formatting import MONTHS, compact, number, parse_instant

DAILY_NAMES = ("allowed", "denied")


@dataclass(frozen=True, slots=True)
class Step:
    """One bar. `label` stands under the axis where there is room, and is empty where none should."""

    title: str
    label: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in px at which the drawing is meant to be seen; `max_bars` and `max_labels` fit that width."""

    width: int
    height: int
    left: int
    bottom: int
    max_bars: int
    max_labels: int
    label_width: int


WIDE = Shape(width=1100, height=240, left=52, bottom=28, max_bars=400, max_labels=10, label_width=52)
NARROW = Shape(width=343, height=216, left=36, bottom=24, max_bars=48, max_labels=5, label_width=44)
SMALL = Shape(width=1100, height=150, left=52, bottom=28, max_bars=60, max_labels=10, label_width=52)
TOP = 14
MARGIN = 12
LINE_REACH = 1.6


@dataclass(frozen=True, slots=True)
class Lines:
    """What bars are compared with: a figure that each step may reach, and what each step's predecessor was."""

    limit: float | None = None
    before: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """How steps and figures become px: the width of a step, the height of one unit."""

    left: int
    slot: float
    floor_y: float
    unit: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A figure at a height, or a label at a distance from the left."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What the pointer meets: a column, its figures, and where these are written."""

    x: float
    width: float
    text: str
    text_x: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    shape: Shape
    floor_y: float
    rows: list[Tick]
    columns: list[Tick]
    paths: list[str]
    strips: list[Strip]
    limit_y: float | None
    before: str
    steps_a_bar: int


def draw(steps: Sequence[Step], names: Sequence[str], shape: Shape, lines: Lines | None = None) -> Drawing:
    """Return the drawing. `names` are those of each step's values. A limit that would flatten the bars is left out."""
    lines = lines or Lines()
    size = max(1, ceil(len(steps) / shape.max_bars))
    bars = merge(steps, size)
    before = [sum(lines.before[start : start + size]) for start in range(0, len(lines.before), size)]
    highest = max([*(sum(bar.values) for bar in bars), *before], default=0)
    limit = lines.limit * size if lines.limit else None
    line = limit if limit and highest and limit <= highest * LINE_REACH else None
    step, top = scale(max(highest, line or 0))
    floor_y = shape.height - shape.bottom
    frame = Frame(shape.left, (shape.width - shape.left) / max(1, len(bars)), floor_y, (floor_y - TOP) / top)
    return Drawing(
        shape,
        floor_y,
        _rows(step, top, frame),
        _columns(bars, shape, frame.slot),
        [_path(bars, index, frame) for index in range(len(names))],
        [_strip(bar, names, shape, shape.left + index * frame.slot, frame.slot) for index, bar in enumerate(bars)],
        None if line is None else round(floor_y - line * frame.unit, 1),
        _line(before, frame),
        size,
    )


def merge(steps: Sequence[Step], size: int) -> list[Step]:
    """Return the steps with each `size` neighbours as one, so that bars stay wide enough to see."""
    if size == 1:
        return list(steps)
    merged = []
    for start in range(0, len(steps), size):
        part = steps[start : start + size]
        label = next((step.label for step in part if step.label), "")
        values = tuple(sum(column) for column in zip(*(step.values for step in part), strict=True))
        merged.append(Step(f"{part[0].title} – {part[-1].title}", label, values))
    return merged


def scale(highest: float) -> tuple[float, float]:
    """Return the axis' step (1, 2 or 5 times a power of ten, whole) and its top: 3 to 6 steps that hold the highest."""
    if highest <= 4:
        return 1.0, 4.0
    raw = highest / 4
    power = 10 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return float(step), float(step * ceil(highest / step))


def _rows(step: float, top: float, frame: Frame) -> list[Tick]:
    return [
        Tick(round(frame.floor_y - value * step * frame.unit, 1), compact(value * step))
        for value in range(round(top / step) + 1)
    ]


def _line(figures: Sequence[int], frame: Frame) -> str:
    """Through the middle of each bar's place."""
    points = [
        f"{frame.left + (index + 0.5) * frame.slot:.1f} {frame.floor_y - figure * frame.unit:.1f}"
        for index, figure in enumerate(figures)
    ]
    return "M" + "L".join(points) if points else ""


def _columns(bars: Sequence[Step], shape: Shape, slot: float) -> list[Tick]:
    named = [(index, bar.label) for index, bar in enumerate(bars) if bar.label]
    every = max(1, ceil(len(named) / shape.max_labels))
    ticks = [Tick(round(shape.left + (index + 0.5) * slot, 1), label) for index, label in named[::every]]
    return [tick for tick in ticks if tick.at + shape.label_width / 2 <= shape.width + MARGIN]


def _path(bars: Sequence[Step], index: int, frame: Frame) -> str:
    gap = min(0.32 * frame.slot, 10)
    width = round(frame.slot - gap, 2)
    parts = []
    for position, bar in enumerate(bars):
        if not bar.values[index]:
            continue
        height = max(bar.values[index] * frame.unit, 1)
        x = frame.left + position * frame.slot + gap / 2
        y = frame.floor_y - sum(bar.values[:index]) * frame.unit - height
        parts.append(f"M{x:.1f} {y:.1f}h{width:g}v{height:.1f}h-{width:g}z")
    return "".join(parts)


def _strip(bar: Step, names: Sequence[str], shape: Shape, x: float, slot: float) -> Strip:
    figures = [f"{number(value)} {name}" for value, name in zip(bar.values, names, strict=True) if value]
    figures_text = " · ".join(figures) if 0 < len(figures) <= 2 else f"{number(sum(bar.values))} in total"
    centre = x + slot / 2
    middle = (shape.left + shape.width) / 2
    room = shape.width * 0.3
    anchor = "middle" if abs(centre - middle) < room * 0.7 else "start" if centre < middle else "end"
    text_x = centre if anchor == "middle" else x if anchor == "start" else x + slot
    return Strip(round(x, 1), round(slot, 2), f"{bar.title}: {figures_text}", round(text_x, 1), anchor)


def spark(values: Sequence[int], width: int = 84, height: int = 22) -> str:
    """Return a line without an axis, from the left edge to the right; empty when there is nothing to show."""
    highest = max(values, default=0)
    if not highest or len(values) < 2:
        return ""
    across = (width - 2) / (len(values) - 1)
    points = [
        f"{1 + index * across:.1f} {height - 3 - value / highest * (height - 6):.1f}"
        for index, value in enumerate(values)
    ]
    return "M" + "L".join(points)


def daily_steps(points: Sequence[dict[str, Any]], zone: str) -> list[Step]:
    """Return a bar a day of allowed and denied requests. `points` are a usage series: at, totals { allowed denied }."""
    return [_daily_step(point, zone) for point in points]


def _daily_step(point: dict[str, Any], zone: str) -> Step:
    day = local_day(parse_instant(point["at"]), zone)
    name = f"{day.day} {MONTHS[day.month - 1]}"
    return Step(name, name, (point["totals"]["allowed"], point["totals"]["denied"]))
