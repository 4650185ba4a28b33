"""A client of the portal's public addresses, for one thread: a connection a request, opened before it is sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 60.0
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
JSON = "application/json"


class WrongAnswer(Exception):
    """The portal did not answer as it should: nothing that was measured counts."""


@dataclass(frozen=True, slots=True)
class Request:
    """On a connection of its own, which is open."""

    connection: HTTPConnection
    path: str
    body: bytes | None
    headers: Mapping[str, str]
    cookies: dict[str, str]

    def send(self) -> bytes:
        """Return the body of the answer; keep its cookies. Raises WrongAnswer for every status but 200 and 303."""
        self.connection.request("GET" if self.body is None else "POST", self.path, self.body, dict(self.headers))
        answer = self.connection.getresponse()
        content = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name.strip()] = value.strip()
        if answer.status not in (200, 303):
            raise WrongAnswer(f"{self.path}: {answer.status} {content[:500].decode(errors='replace')}")
        return content

    def close(self) -> None:
        self.connection.close()

    def fetch(self) -> bytes:
        """`send` and `close`."""
        try:
            return self.send()
        finally:
            self.close()


class Browser:
    """Keeps cookies, as a browser does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies: dict[str, str] = {}

    def prepare(self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> "Request":
        """Open a connection for a request that is sent later."""
        parts = urlsplit(self._url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        connection.connect()
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        sent = {**(headers or {}), **(cookies if self._cookies else {})}
        return Request(connection, path, body, sent, self._cookies)

    def prepare_json(self, path: str, document: Mapping[str, Any], token: str) -> "Request":
        headers = {"Authorization": f"Bearer {token}", "Content-Type": JSON, "Accept": JSON}
        return self.prepare(path, json.dumps(document).encode(), headers)

    def prepare_page(self, path: str) -> "Request":
        return self.prepare(path, headers={"Accept": "text/html"})

    def sign_in(self, email: str, password: str) -> None:
        """By the form on the page, with whatever hidden fields it has."""
        fields = _hidden_fields(self.prepare_page("/sign-in").fetch().decode())
        form = urlencode({**fields, "email": email, "password": password}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._url}
        self.prepare("/sign-in", form, headers).fetch()


def _hidden_fields(page: str) -> dict[str, str]:
    fields = [dict(_ATTRIBUTE.findall(field)) for field in _INPUT.findall(page)]
    return {field["name"]: field.get("value", "") for field in fields if field.get("type") == "hidden"}
