"""Small SVG plots that read in light and dark."""

from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 190, 90, 44, 24
HEIGHT = 320
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1f2933}.bar{fill:#3366cc}.line{fill:none;stroke:#3366cc;"
    "stroke-width:2}.axis{stroke:#9aa5b1}@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.bar{fill:#7aa2f7}"
    ".line{stroke:#7aa2f7}}</style>"
)

Point = tuple[str, float]


def bars(title: str, points: Sequence[Point]) -> str:
    """A row a point, the longest as wide as there is room; empty without points."""
    if not points:
        return ""
    most = max(value for _, value in points)
    parts = []
    for number, (label, value) in enumerate(points):
        y, width = TOP + number * ROW, (WIDTH - LEFT - RIGHT) * value / most
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="bar" x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}">{_number(value)}</text>',
        ]
    return _svg(title, TOP + len(points) * ROW + 12, parts)


def lines(title: str, points: Sequence[Point]) -> str:
    """One line through the points from left to right, from zero; empty without points."""
    if not points:
        return ""
    most, bottom, left = max(value for _, value in points), HEIGHT - 36, 60
    step = (WIDTH - left - 60) / max(len(points) - 1, 1)
    places = [
        (left + number * step, bottom - (bottom - TOP - 20) * value / most) for number, (_, value) in enumerate(points)
    ]
    parts = [
        f'<line class="axis" x1="{left}" y1="{bottom}" x2="{WIDTH - 60}" y2="{bottom}"/>',
        f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>',
    ]
    for (label, value), (x, y) in zip(points, places, strict=True):
        parts += [
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(label)}</text>',
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{_number(value)}</text>',
        ]
    return _svg(title, HEIGHT, parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    name = escape(title)
    body = "\n".join(parts)
    return f'{head} aria-label="{name}">\n{STYLE}\n<text x="12" y="24">{name}</text>\n{body}\n</svg>\n'
