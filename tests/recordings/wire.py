"""HTTP by plain sockets: send exactly these bytes, read exactly what comes back."""

import json
import re
import socket
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.recordings.normalise import normalise

SILENCE_SECONDS = 1.5
CLOSE_SECONDS = 3.0
PAUSE_SECONDS = 0.06
LAST_REQUEST = b"req_LAST_REQUEST_OF_A_CHECK_00"
"""As long as a real id, so that lengths hold."""
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
GZIPPED = re.compile(rb"\r\ncontent-encoding: *gzip", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One conversation. `pieces` are sent with a pause between them; `answers` is how many final ones to await.

    `shows_counts`: the body tells of demo usage, which is drawn anew for each folder, so its numbers are masked.
    LAST_REQUEST in the bytes stands for the id of the last check that was answered.
    """

    name: str
    pieces: Sequence[bytes]
    answers: int = 1
    is_head: bool = False
    shows_counts: bool = False
    silence: float = SILENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        found = re.search(rf"\r\n{name}: *([^\r]*)".encode(), self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else ""


def request(
    method: str, target: str, headers: Mapping[str, str] | Sequence[tuple[str, str]], body: bytes = b""
) -> bytes:
    """A request with a Host and, where it has a body, a Content-Length; the given headers as they are."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    named = {name.lower() for name, _ in pairs}
    if "host" not in named:
        pairs.insert(0, ("Host", "portal.test"))
    if (body or method == "POST") and not named & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def as_json(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def converse(port: int, exchange: Exchange, last_request: str) -> str:
    """Send, read, and render both sides. The head as it came, the body decoded from chunks and gzip."""
    pieces = [piece.replace(LAST_REQUEST, last_request.encode()) for piece in exchange.pieces]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(PAUSE_SECONDS)
            try:
                sock.sendall(piece)
            except OSError:
                break
        answers, end = read_answers(sock, exchange.answers, is_head=exchange.is_head, silence=exchange.silence)
    parts = [_shown(b"".join(pieces)), "\n"]
    for answer in answers:
        parts += [
            "--- answer\n",
            answer.head.decode("latin-1").replace("\r\n", "\n"),
            "\n\n",
            _shown_body(answer),
            "\n",
        ]
    return "".join([*parts, f"--- {end}\n"])


def ask(port: int, data: bytes, *, is_head: bool = False) -> Answer:
    """One request on a connection of its own. Raises OSError when there is no answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(data)
        answers, end = read_answers(sock, 1, is_head=is_head, silence=30.0, is_close_awaited=False)
    if not answers:
        raise OSError(end)
    return answers[-1]


def read_answers(
    sock: socket.socket, most: int, *, is_head: bool, silence: float = SILENCE_SECONDS, is_close_awaited: bool = True
) -> tuple[list[Answer], str]:
    """Final answers up to `most` with the interim ones before them, and how the connection stood afterwards."""
    buffer, answers, finals = b"", [], 0
    sock.settimeout(silence)
    is_ended = False
    while finals < most:
        answer, buffer = _next_answer(buffer, is_head=is_head, is_ended=is_ended)
        if answer is not None:
            answers.append(answer)
            finals += answer.status >= 200
            continue
        if is_ended:
            break
        try:
            data = sock.recv(262_144)
        except TimeoutError:
            return answers, f"silent, {len(buffer)} bytes of an unfinished answer" if buffer else "silent"
        except OSError:
            data = b""
        buffer += data
        is_ended = not data
    if is_close_awaited and answers and CLOSES.search(answers[-1].head):
        return answers, "closed" if is_ended or _is_closed(sock) else "not closed"
    return answers, "closed" if is_ended else "open"


def _is_closed(sock: socket.socket) -> bool:
    sock.settimeout(CLOSE_SECONDS)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def _next_answer(buffer: bytes, *, is_head: bool, is_ended: bool) -> tuple[Answer | None, bytes]:
    head, end, rest = buffer.partition(b"\r\n\r\n")
    status = STATUS.match(head)
    if not end or status is None:
        return (Answer(0, buffer, b""), b"") if is_ended and buffer else (None, buffer)
    number, length = int(status[1]), LENGTH.search(head)
    if is_head or number < 200 or number in (204, 304):
        return Answer(number, head, b""), rest
    if CHUNKED.search(head):
        body, after = _dechunked(rest)
        if body is None and not is_ended:
            return None, buffer
        return Answer(number, head, _unzipped(head, rest if body is None else body)), after
    if length is not None:
        size = int(length[1])
        if len(rest) < size and not is_ended:
            return None, buffer
        return Answer(number, head, _unzipped(head, rest[:size])), rest[size:]
    return (Answer(number, head, rest), b"") if is_ended else (None, buffer)


def _dechunked(data: bytes) -> tuple[bytes | None, bytes]:
    body, at = b"", 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end].split(b";")[0], 16)
        if len(data) < end + 2 + size + 2:
            break
        body += data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
        if size == 0:
            return body, data[at:]
    return None, b""


def _unzipped(head: bytes, body: bytes) -> bytes:
    return zlib.decompress(body, 31) if GZIPPED.search(head) and body else body


def _shown_body(answer: Answer) -> str:
    """Text as it is; what is no text by its size alone."""
    declared = LENGTH.search(answer.head)
    note = ""
    if declared and answer.body and not GZIPPED.search(answer.head):
        note = "" if int(declared[1]) == len(answer.body) else "[the length is wrong]\n"
    if b"\0" in answer.body:
        return f"{note}[binary]"
    if len(answer.body) > 60_000:
        return f"{note}[text of {len(answer.body)} bytes]"
    return note + answer.text


def _shown(data: bytes, most: int = 1200) -> str:
    text = normalise(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n"))
    return text if len(text) <= most else f"{text[:most]}… [{len(data)} bytes]"
