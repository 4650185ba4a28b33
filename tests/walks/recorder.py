"""Record every call of a function of ours, with the activity that made it."""

import asyncio
import dis
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import uvloop

from tests.walks.attribution import Activity, Call

FOLDERS = ("portal", "web", "workers")
_LOOPS = tuple(f"{Path(module.__file__ or '').parent}/" for module in (asyncio, uvloop))
"""What stands above these in the stack runs the event loop, and calls nothing for a request."""


class Recorder:
    """Profiles the thread that installs it and all that start afterwards; records between `start` and `stop`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefixes = tuple(f"{root / folder}/" for folder in FOLDERS)
        self._files: dict[CodeType, str] = {}
        self._resumed: dict[tuple[CodeType, int], bool] = {}
        self._older: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: list[Call] = []
        self._is_recording = False

    def install(self) -> None:
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def start(self) -> None:
        """From any thread, once the event loop has run something of ours."""
        if self._loop is not None:
            self._older = asyncio.all_tasks(self._loop)
        self._calls = []
        self._is_recording = True

    def stop(self) -> list[Call]:
        """Return what was recorded since the start."""
        self._is_recording = False
        calls, self._calls = self._calls, []
        return calls

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        file = self._file_of(code)
        if not file:
            return
        if self._loop is None:
            self._loop = asyncio._get_running_loop()
        if self._is_recording:
            is_resumed = self._is_resumed(code, max(frame.f_lasti, 0))
            self._calls.append(Call(self._activity_of(frame), file, code.co_qualname, is_resumed=is_resumed))

    def _file_of(self, code: CodeType) -> str:
        """Relative to the checkout; empty for what is not ours, and for a module's own code: that is its import."""
        file = self._files.get(code)
        if file is None:
            is_counted = code.co_filename.startswith(self._prefixes) and code.co_name != "<module>"
            file = str(Path(code.co_filename).relative_to(self._root)) if is_counted else ""
            self._files[code] = file
        return file

    def _is_resumed(self, code: CodeType, instruction: int) -> bool:
        """Whether a coroutine or generator goes on, by the argument of its RESUME: 0 is a start."""
        place = (code, instruction)
        is_resumed = self._resumed.get(place)
        if is_resumed is None:
            operation, argument = code.co_code[instruction : instruction + 2]
            is_resumed = self._resumed[place] = dis.opname[operation] == "RESUME" and argument & 3 != 0
        return is_resumed

    def _activity_of(self, frame: FrameType) -> Activity:
        loop = asyncio._get_running_loop()
        task = asyncio.current_task(loop) if loop is not None else None
        if task is not None:
            if task in self._older:
                return Activity(task, is_older=True)
            return Activity(("task", getattr(task.get_coro(), "__qualname__", "")))
        root, outer = frame.f_code, frame.f_back
        while outer is not None and not outer.f_code.co_filename.startswith(_LOOPS):
            if self._file_of(outer.f_code):
                root = outer.f_code
            outer = outer.f_back
        return Activity(("thread" if loop is None else "callback", root.co_filename, root.co_qualname))
