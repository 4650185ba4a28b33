"""The one table of what is volatile: two recordings of the same commit are alike after it.

A rule is (pattern, replacement), applied in order to every text. `mask_numbers` is for texts that show demo usage,
which is drawn anew for each data folder.
"""

import re

MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"

RULES: tuple[tuple[str, str], ...] = (
    # Secrets, tokens, ids
    (r"\bpk_(live|test)_[0-9A-Za-z]{36}\b", r"pk_\1_<secret>"),
    (r"\bpk_(live|test)_\w{4}…\w{4}", r"pk_\1_<masked>"),
    (r"\b(svc|pat)_[0-9A-Za-z_-]{43}", r"\1_<token>"),
    (r"\b(svc|pat)_[0-9A-Za-z_-]{0,8}…[0-9A-Za-z_-]{0,8}", r"\1_<masked>"),
    (r"\b([a-z]{2,8})_[0-9A-HJKMNP-TV-Z]{25,36}\b", r"\1_<id>"),
    (r"\b[0-9A-HJKMNP-TV-Z]{26}-\d{8}\.journal", "<segment>.journal"),
    (r"\b[0-9a-f]{128}\b", "<form token>"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\?v=[0-9a-f]{12}", "?v=<hash>"),
    (r'(?i)(etag: |if-none-match: )((?:W/)?")[^"]*"', r'\1\2<hash>"'),
    (r"(?i)((?:set-)?cookie: \w+=)[\w-]+", r"\1<cookie>"),
    (r'(?i)("(?:start|end)?cursor": ?")[^"]+"', r'\1<cursor>"'),
    (r"([?&;]after=)[\w%=-]+", r"\1<cursor>"),
    (r'("(?:password|Password)": ?")[^"]*"', r'\1<password>"'),
    (r"(?m)^(.*[Pp]assword:? +)\S{16,}$", r"\1<password>"),
    # Times
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d| UTC)?", "<instant>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d(?:%3A|:)\d\d(?:%3A|:)\d\d(?:Z|%2B\d\d(?:%3A|:)\d\d)?", "<instant>"),
    (rf"\b{WEEKDAY}, \d\d? {MONTH} \d{{4}} \d\d:\d\d:\d\d GMT", "<date>"),
    (
        rf"\b(?:{WEEKDAY},? )?\d{{1,2}}(?: |&nbsp;|\u00a0){MONTH}(?: \d{{4}})?(?:,? (?:at )?\d\d:\d\d(?::\d\d)?)?",
        "<date>",
    ),
    (rf"\b{MONTH} \d{{1,2}}(?:, \d{{4}})?\b", "<date>"),
    (rf"\b{MONTH} \d{{4}}\b", "<month>"),
    (r"\b20\d\d-\d\d-\d\d\b", "<day>"),
    (r"\b20\d\d-\d\d\b", "<month>"),
    (r"\b20\d{6}-20\d{6}\b", "<days>"),
    (r"\b\d\d:\d\d(?::\d\d)?\b(?! GMT)", "<time>"),
    (r"\b\d+(?:\.\d+)? (second|minute|hour|day|week|month)s?\b(?= (?:ago|left|from now))", r"<n> \1s"),
    # Counters of the limiter
    (r'("(?:remaining|used|resetMs|ingested|occurredAtUs|totalCount|lagEvents|resetSeconds)": ?)"?\d+"?', r"\1<n>"),
    (r'("retryAfterMs": ?)\d+', r"\1<n>"),
    (r'("(?:sequence|number|events|verified)": ?)"?\d+"?', r"\1<n>"),
    (r";r=\d+;t=\d+", ";r=<n>;t=<n>"),
    (r"(?i)(x-ratelimit-(?:remaining|reset): )\d+", r"\1<n>"),
    (r"(?i)(retry-after: )\d+", r"\1<n>"),
    (r"(?i)(x-total-estimate: )\d+", r"\1<n>"),
    (r"(?i)((?:^|\n)date: ).*", r"\1<date>"),
    # wire.py and the client check the length against the body; it follows what stands above
    (r"(?i)((?:^|\n)content-length: )[1-9]\d*(?=\n)", r"\1<length>"),
    # Progress lines: one a second, so how many depends on the machine
    (r"(?m)^[A-Z][\w ]+: [\d,]+ of [\d,]+\n", ""),
    # Places
    (r"\b(127\.0\.0\.1|localhost):\d{4,5}\b", r"\1:<port>"),
    (r"(?<=object at )0x[0-9a-f]+", "<address>"),
    (r'("(?:pid|seconds|ms)": ?)[\d.]+', r"\1<n>"),
)
DRAWN_RULES: tuple[tuple[str, str], ...] = (
    # What the draw decides in a page: which endpoint or outcome stands in a row, how a point is described
    (r"\b(?:GET|POST|PUT|PATCH|DELETE) /v1/[\w/{}-]+", "<endpoint>"),
    (r'text-anchor="\w+"', 'text-anchor="…"'),
    (r"(<text[^>]*>)<date>[^<:]*(?:<time>)?: [^<]*(?:<n>[^<]*)*</text>", r"\1<point></text>"),
    (r"<n> allowed(?: · <n> denied)?", "<calls>"),
    (r"[+−±-]?<n> ?%|no change", "<n> %"),
    (r"mostly [A-Z_]+", "mostly <outcome>"),
    (r"(?:<n> (?:s|min|h|days?) ago|now)</time>", "<ago></time>"),
    (r"in <n> (?:s|min|h|days?)</time>", "<ahead></time>"),
)
_drawn = tuple((re.compile(pattern), replacement) for pattern, replacement in DRAWN_RULES)
_compiled = tuple((re.compile(pattern), replacement) for pattern, replacement in RULES)

ALLOW = re.compile(r"(?im)^(allow: )([A-Z, ]+)$")
"""Starlette keeps methods in a set, so their order changes with each process."""
NUMBER = re.compile(r"(?<![\w#<&])-?\d[\d,.\u00a0\u202f]*(?:[KMkB]\b)?")
TAG = re.compile(r"<!--.*?-->|<[a-zA-Z/!][^>]*>", re.DOTALL)
ICON = re.compile(r'(<svg class="icon".*?</svg>)', re.DOTALL)
LOG_TABLE = re.compile(r'(<table class="stack log">.*?<tbody>)(.*?)(</tbody>)', re.DOTALL)
ROW = re.compile(r"(?<!\n)<(tr|li|g|option|td|th|path|rect|text|circle)\b")
DRAWN = re.compile(r'\b(d|points|x|y|x1|x2|y1|y2|cx|cy|r|width|height|transform|viewBox|style)="[^"]*"')
TOLD = re.compile(r'\b(title|aria-label|aria-valuenow|datetime|href|value|data-[\w-]+|alt|content|max)="([^"]*)"')


def normalise(text: str, places: dict[str, str] | None = None) -> str:
    """`places` are texts of this run alone (folders, passwords) and what stands for them."""
    for place in sorted(places or {}, key=len, reverse=True):
        text = text.replace(place, (places or {})[place])
    for pattern, replacement in _compiled:
        text = pattern.sub(replacement, text)
    return ALLOW.sub(lambda found: found[1] + ", ".join(sorted(found[2].split(", "))), text)


def mask_numbers(text: str) -> str:
    return NUMBER.sub("<n>", text)


def mask_html(text: str) -> str:
    """Numbers in what is shown, told and drawn; not in names, icons and the template's own attributes."""
    parts = []
    for number, part in enumerate(ICON.split(text)):
        parts.append(part if number % 2 else _mask_outside_icons(part))
    masked = ROW.sub(r"\n<\1", "".join(parts))
    for pattern, replacement in _drawn:
        masked = pattern.sub(replacement, masked)
    return collapse(LOG_TABLE.sub(_first_row, masked))


def _first_row(table: re.Match[str]) -> str:
    """A log of drawn requests: its form is in one row, without what the draw decides."""
    row = table[2].partition("</tr>")[0]
    row = re.sub(r'class="(?:state|tag) \w+"', 'class="<state>"', row)
    return f"{table[1]}{re.sub(r'>[^<>]+<(?=/)', '>…<', row)}</tr>{table[3]}"


def _mask_outside_icons(text: str) -> str:
    parts, at = [], 0
    for tag in TAG.finditer(text):
        parts += [mask_numbers(text[at : tag.start()]), _mask_tag(tag[0])]
        at = tag.end()
    return "".join([*parts, mask_numbers(text[at:])])


def _mask_tag(tag: str) -> str:
    tag = DRAWN.sub(r'\1="…"', tag)
    return TOLD.sub(lambda found: f'{found[1]}="{mask_numbers(found[2])}"', tag)


def collapse(text: str) -> str:
    """Keep repeated lines and groups of up to 12 lines once: how many rows there are depends on the draw."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for size in range(1, 13):
        kept: list[str] = []
        for line in lines:
            kept.append(line)
            if kept[-size:] == kept[-2 * size : -size]:
                del kept[-size:]
        lines = kept
    return "\n".join(lines) + "\n"
