"""A headless Chromium that opens a page as a reader does, over its debugging pipe."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

SECONDS = 120  # that a browser may live; a page loads in one


def program() -> str:
    """Path of the browser.

    Raises
    ------
    RuntimeError
        If there is none: what a page looks like cannot be tested without.
    """
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError(
            "pages are looked at with Chromium, and there is none; install it (apt-get install chromium)."
        )
    return found


class Browser:
    """One tab: messages are JSON, each ended by a zero byte."""

    def __init__(self, questions: BinaryIO, answers: BinaryIO):
        self._questions, self._answers = questions, answers
        self._numbers, self._buffer = itertools.count(1), b""
        self._session: dict[str, str] = {}
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = self._answers.read1()
            if not piece:
                raise RuntimeError(f"Chromium ended, or did not answer within {SECONDS} s.")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        question = {"id": number, "method": method, "params": params} | self._session
        self._questions.write(json.dumps(question).encode() + b"\0")
        self._questions.flush()
        while (answer := self._receive()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"Chromium on {method}: {answer['error']}")
        return answer["result"]

    def open(self, path: str | Path, width: int, medium: str = "") -> None:
        """Load a file in a window of this width [px], as on a screen or for ``medium`` "print"."""
        self.complaints.clear()
        self.requests.clear()
        shape = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **shape)
        self._ask("Emulation.setEmulatedMedia", media=medium)
        self._ask("Page.navigate", url=Path(path).resolve().as_uri())
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression on the page."""
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, path: str | Path) -> None:
        """Write the whole page as a PNG file."""
        picture = self._ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(picture))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"]
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser reads from descriptor 3 and writes to descriptor 4.
        moved = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"]
        process = subprocess.Popen(
            [*moved, program(), *options, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        deadline = threading.Timer(SECONDS, process.kill)
        deadline.start()
        try:
            with os.fdopen(ours_out, "wb") as questions, os.fdopen(ours_in, "rb") as answers:
                yield Browser(questions, answers)
        finally:
            deadline.cancel()
            process.terminate()
            process.wait()
