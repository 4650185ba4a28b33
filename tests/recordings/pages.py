"""Every page that links lead to, for each demo log-in, whole and as a fragment, with its SQL; and forms."""

import html
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.recordings.normalise import mask_numbers, normalise
from tests.recordings.product import Product
from tests.recordings.sql_counts import SqlCounts
from tests.recordings.wire import Answer, ask, request

PAGES_MOST = 150
VARIANTS_MOST = 4
"""Of an address by its query: more say nothing new."""
LIKE_MOST = {"/keys/key_<id>": 8, "/invoices/inv_<id>": 4}
ELSEWHERE = ("/static/", "/usage/export", "/sign-out", "//")
HREF = re.compile(r'\shref="(/[^"#]*)[^"]*"')
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')
REVEALED = re.compile(r"/keys/(key_\w+)|/settings/(?:tokens|gateways)/(\w+)/revoke")
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
FRAGMENT = {"HX-Request": "true", "Accept": "text/html"}


@dataclass(slots=True)
class Browser:
    """One visitor: keeps cookies and the last page's form token."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self._ask("GET", path, headers or BROWSER, b"")

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        headers = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        return self._ask("POST", path, headers, urlencode({"csrf": self.token, **fields}).encode())

    def sign_in(self, email: str, password: str) -> Answer:
        self.get("/sign-in")
        return self.post("/sign-in", {"email": email, "password": password, "next": "/"})

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        cookie = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        )
        answer = ask(self.port, request(method, path, {"Host": f"127.0.0.1:{self.port}", **headers, **cookie}, body))
        for name, value in re.findall(r"set-cookie: (\w+)=([^;]*)", answer.head.decode("latin-1"), re.IGNORECASE):
            self.cookies[name] = value.strip('"')
        if found := TOKEN.search(answer.text):
            self.token = found[1]
        return answer


@dataclass(frozen=True, slots=True)
class PageRecord:
    name: str
    sql: str
    answer: Answer


def record_pages(product: Product, counts: SqlCounts) -> Iterator[PageRecord]:
    """Each address once before it is counted, so that caches of the process are warm; then the fewer of two."""
    yield from _crawl("anonymous", Browser(product.port), counts)
    for who, login in sorted(product.ready["logins"].items()):
        browser = Browser(product.port)
        counts.begin()
        answer = browser.sign_in(login["email"], login["password"])
        yield PageRecord(f"{who} signs in", _told(counts), answer)
        yield from _crawl(who, browser, counts)


def _crawl(who: str, browser: Browser, counts: SqlCounts) -> Iterator[PageRecord]:
    waiting, seen, like = (
        deque(["/", "/sign-in", "/sign-up", "/settings/gateways", "/usage/requests"]),
        set[str](),
        Counter[str](),
    )
    variants = Counter[str]()
    while waiting and len(seen) < PAGES_MOST:
        path = waiting.popleft()
        pattern = mask_numbers(normalise(path))
        place = pattern.partition("?")[0]
        if path in seen or like[pattern] >= LIKE_MOST.get(pattern, 1) or variants[place] >= VARIANTS_MOST:
            continue
        variants[place] += "?" in pattern
        seen.add(path)
        like[pattern] += 1
        name = f"{who} {pattern} #{like[pattern]}"
        browser.get(path)
        for kind, headers in (("page", BROWSER), ("fragment", FRAGMENT)):
            told = []
            for _ in range(2):
                counts.begin()
                answer = browser.get(path, headers)
                told.append(counts.end())
            fewest = min(told)
            yield PageRecord(f"{name} {kind}", f"{fewest[0]} statements: {fewest[1]}", answer)
            if kind == "page":
                found = [html.unescape(link) for link in HREF.findall(answer.text)]
                waiting.extend(link for link in found if not link.startswith(ELSEWHERE))


def record_forms(product: Product, counts: SqlCounts) -> Iterator[PageRecord]:
    """A key's life, tokens, settings: right and wrong, each followed to the page that it leads to."""
    login = product.ready["logins"]["developer"]
    browser = Browser(product.port)
    browser.sign_in(login["email"], login["password"])
    made = ""
    key_form = {"name": "Recorded key", "environment": "live", "scopes": "orders:read", "expiry": "never"}
    steps: list[tuple[str, str, dict[str, str]]] = [
        ("create without a name", "/keys/new", {**key_form, "name": ""}),
        ("create with a bad scope", "/keys/new", {**key_form, "scopes": "no scope!"}),
        ("create with a bad address", "/keys/new", {**key_form, "allowedIps": "x"}),
        ("create with a bad date", "/keys/new", {**key_form, "expiry": "date", "expiresAt": "x"}),
        ("create", "/keys/new", key_form),
        ("rename", "/keys/{}/update", {"name": "Renamed key", "scopes": "orders:read", "expiresAt": "",
        "expiresBefore": ""}),
        ("rename to nothing", "/keys/{}/update", {"name": "", "scopes": ""}),
        ("pause", "/keys/{}/pause", {}), ("pause again", "/keys/{}/pause", {}), ("resume", "/keys/{}/resume", {}),
        ("rotate", "/keys/{}/rotate", {"overlap": "3600", "overlapSeconds": "3600"}),
        ("revoke unconfirmed", "/keys/{}/revoke", {"confirm": "x", "confirmName": "Renamed key"}),
        ("revoke", "/keys/{}/revoke", {"confirm": "Renamed key", "confirmName": "Renamed key", "reason": "recorded"}),
        ("resume the revoked", "/keys/{}/resume", {}), ("pause another's",
        "/keys/key_00000000000000000000000000/pause", {}),
        ("token without a name", "/settings/tokens", {"name": "", "access": "all", "expiry": "90d"}),
        ("token", "/settings/tokens", {"name": "Recorded", "access": "all", "expiry": "90d"}),
        ("token of nothing", "/settings/tokens", {"name": "Recorded", "access": "chosen", "expiry": "never"}),
        ("gateway", "/settings/gateways", {"name": "recorded"}),
        ("account unknown", "/settings/account", {"account": "acct_x"}),
        ("session unknown", "/settings/sessions/x/revoke", {}), ("token unknown", "/settings/tokens/x/revoke", {}),
        ("plan unknown", "/plan", {"plan": "x"}), ("bad form token", "/settings/tokens", {"csrf": "00" * 64,
        "name": "a"}),
        ("others", "/settings/sessions/revoke-others", {}), ("sign out", "/sign-out", {}),
    ]  # fmt: skip
    for name, path, fields in steps:
        browser.get("/settings")
        counts.begin()
        answer = browser.post(path.format(made), fields)
        yield PageRecord(f"form {name}", _told(counts), answer)
        if not made and name == "create" and (found := REVEALED.search(answer.text)):
            made = found[1]
        if target := answer.header("location"):
            yield PageRecord(f"form {name} leads to", "not counted", browser.get(target))


def _told(counts: SqlCounts) -> str:
    number, kinds = counts.end()
    return f"{number} statements: {kinds}"
