"""`record DIR`: run the product once and write all that was seen, one text file a subject.

Left out, since it cannot be made stable: metric values and log texts (names are recorded); how many rows, points and
bars demo usage draws (repeated lines stand once, numbers are masked); lengths of bodies (checked while reading); the
order of samples in /metrics; usage exports of drawn days (an empty day is exported); live socket frames (the
handshake and the first events of the stream are recorded).
"""

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

from tests.recordings.browser_requests import browser_exchanges
from tests.recordings.check_requests import Credentials, check_exchanges
from tests.recordings.commands import help_texts, make_files, texts_with_portal, texts_without_portal
from tests.recordings.metrics_and_logs import log_names, metric_names, process_texts
from tests.recordings.normalise import collapse, mask_html, mask_numbers, normalise
from tests.recordings.pages import PageRecord, record_forms, record_pages
from tests.recordings.product import Product, run_command, running, tell
from tests.recordings.sql_counts import SqlCounts
from tests.recordings.wire import Exchange, as_json, ask, converse, request

SETTLE_SECONDS = 2.0
BALLAST_SECONDS = 15.0
REQUEST_ID = re.compile(r'"requestId":"(req_\w+)"')
Named = tuple[str, str]
"""A record: its name and text."""
NAME_LINE = "=== "


class Recorder:
    """Writes named records into files; the same name again gets a number."""

    def __init__(self, folder: Path, subjects: set[str]) -> None:
        self._folder = folder
        self._subjects = subjects
        self._names: dict[str, int] = {}
        self.places: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def wants(self, subject: str) -> bool:
        return not self._subjects or subject in self._subjects

    def write(self, subject: str, records: Iterable[Named]) -> None:
        if not self.wants(subject):
            return
        path = self._folder / f"{subject}.txt"
        begun = time.monotonic()
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for told_name, text in records:
                name = normalise(told_name, self.places)
                self.counts[subject] = self.counts.get(subject, 0) + 1
                known = f"{subject} {name}"
                self._names[known] = self._names.get(known, 0) + 1
                again = f" ({self._names[known]})" if self._names[known] > 1 else ""
                cleaned = normalise(text, self.places).replace(f"\n{NAME_LINE}", f"\n {NAME_LINE}")
                file.write(f"{NAME_LINE}{name}{again}\n{cleaned.rstrip()}\n\n")
        tell(f"{subject}: {self.counts.get(subject, 0)} records, {time.monotonic() - begun:.0f} s")


def record(portal: Path, folder: Path, subjects: set[str]) -> None:
    """Everything, or only the files that are named (`pages`, `check`, …); others in the folder stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.txt"):
        if not subjects or old.stem in subjects:
            old.unlink()
    place = Path(tempfile.mkdtemp(prefix="recordings-"))
    try:
        _record(portal, Recorder(folder, subjects), place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _record(portal: Path, recorder: Recorder, place: Path) -> None:
    recorder.places = {str(place): "<place>", str(place.resolve()): "<place>", str(portal.parent): "<bin>"}
    code, output, errors = run_command(portal, ["schema"], place)
    recorder.write("schema", [("portal schema", f"exit {code}\n{output}{errors}")])
    folder = place / "commands"
    make_files(folder)
    stopping = threading.Event()
    with ThreadPoolExecutor(1) as aside:
        texts = {"help": help_texts(portal, folder), "commands-alone": texts_without_portal(portal, folder)}
        wanted = {name: records for name, records in texts.items() if recorder.wants(name)}
        others = aside.submit(_commands_aside, wanted, stopping)
        try:
            _record_running(portal, recorder, place)
        except BaseException:
            stopping.set()
            raise
        for subject, records in others.result().items():
            recorder.write(subject, records)
    tell(f"{sum(recorder.counts.values())} records")


def _commands_aside(texts: dict[str, Iterator[Named]], stopping: threading.Event) -> dict[str, list[Named]]:
    """What needs no running portal; meanwhile the other core works for what does."""
    return {name: [*takewhile(lambda _: not stopping.is_set(), records)] for name, records in texts.items()}


def _record_running(portal: Path, recorder: Recorder, place: Path) -> None:
    with running(portal, place) as product:
        recorder.places |= {login["password"]: "<password>" for login in product.ready["logins"].values()}
        recorder.write("start", [("stdout", (place / "stdout").read_text())])
        time.sleep(SETTLE_SECONDS)
        counts = SqlCounts(product.data)
        counts.open()
        recorder.write("pages", (_page(page) for page in record_pages(product, counts)))
        recorder.write("forms", (_page(page) for page in record_forms(product, counts)))
        counts.close()
        credentials = Credentials(product.ready["service_token"], product.ready["keys"])
        recorder.write("check", _conversations(product, check_exchanges(credentials)))
        recorder.write("browser", _conversations(product, browser_exchanges(product.ready)))
        time.sleep(SETTLE_SECONDS)
        recorder.write(
            "commands",
            (
                (name, _masked(text) if is_count else text)
                for name, text, is_count in texts_with_portal(product, place / "commands")
            ),
        )
        recorder.write("processes", process_texts(product))
        recorder.write(
            "metrics", [("portal run", metric_names(ask(product.port, request("GET", "/metrics", {})).text))]
        )
    recorder.write("logs", [("portal run", log_names([(place / "stderr").read_text()]))])
    recorder.write(
        "stop",
        [("exit code", f"{product.process.returncode}\n"), ("ready file", f"{(place / 'ready.json').exists()}\n")],
    )


def _conversations(product: Product, exchanges: Iterable[Exchange]) -> Iterable[Named]:
    last_request, ballast_at = "", 0.0
    for exchange in exchanges:
        if time.monotonic() > ballast_at + BALLAST_SECONDS:
            _drop_ballast(product)
            ballast_at = time.monotonic()
        text = converse(product.port, exchange, last_request)
        if found := REQUEST_ID.findall(text):
            last_request = found[-1]
        if exchange.shows_counts:
            asked, _, answered = text.partition("--- answer\n")
            text = f"{asked}--- answer\n{_masked(normalise(answered))}"
        yield exchange.name, text


def _drop_ballast(product: Product) -> None:
    """Use so much of the demo key's minute that its limit is the tightest, however fast the next checks follow."""
    headers = {"Authorization": f"Bearer {product.ready['service_token']}", "Content-Type": "application/json"}
    body = as_json({"key": product.ready["keys"]["enterprise"], "cost": 4900})
    ask(product.port, request("POST", "/check", headers, body))
    time.sleep(1.2)


def _masked(text: str) -> str:
    """Statuses stay."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{mask_numbers(rest)}"


def _page(page: PageRecord) -> tuple[str, str]:
    head = normalise(page.answer.head.decode("latin-1").replace("\r\n", "\n"))
    body = page.answer.text
    if "html" in page.answer.header("content-type"):
        body = mask_html(normalise(body))
    return page.name, f"{page.sql}\n{head}\n\n{collapse(body)}"
