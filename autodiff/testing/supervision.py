"""A process for each engine, since what is graded crashes, prints, loops and eats memory.

The worker judges row after row, and writes what it finds to a file as it goes. If it dies or does not
come back from a row, its whole process group is killed, that row has failed, and a new worker goes on
with the next. This is protection against accidents, not against malice: for code that you do not trust,
run the whole command in a container.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .card import Card, Entry, Miss

KEPT = 2000  # characters of what a worker printed last


@dataclass
class Limits:
    """What a submission may take."""

    seconds: float = 300.0  # for all of it
    row: float = 60.0  # for loading it, and for one row of the card
    memory: float = 4.0  # GiB; not on Windows and macOS, which know no such limit


class Worker:
    """A process that judges one engine, and what it has written so far."""

    def __init__(self, target: str, folder: Path, options: dict, done: list[Entry], limits: Limits):
        self.results = folder / "results.jsonl"
        self.results.touch()
        job = {"target": target, "results": str(self.results), "options": options, "memory": limits.memory,
               "supervisor": os.getpid(), "done": [asdict(entry) for entry in done]}  # fmt: skip
        request = folder / "job.json"
        request.write_text(json.dumps(job), encoding="utf-8")
        own_group: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(request)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": path}, **own_group,
        )  # fmt: skip
        self.printed = b""
        self.reader = threading.Thread(target=self.drain, daemon=True)
        self.reader.start()

    def drain(self) -> None:
        """Whatever it prints is read, so that it does not wait for us, and only the end is kept."""
        assert self.process.stdout
        while chunk := os.read(self.process.stdout.fileno(), 1 << 16):
            self.printed = (self.printed + chunk)[-4 * KEPT :]

    def lines(self) -> list[dict]:
        """What it has written: whole lines only."""
        text = self.results.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def kill(self) -> None:
        """Its whole process group, whether or not it is still there itself."""
        if os.name == "nt":
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(self.process.pid)], capture_output=True, check=False
            )
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(1.0)

    def said(self) -> str:
        """The end of what it printed."""
        return self.printed.decode("utf-8", "replace")[-KEPT:].strip()


def supervised(target: str, options: dict, limits: Limits) -> Card:
    """The report card of the engine at `target`, whatever it does."""
    start, done, card = time.monotonic(), [], Card(Path(target).stem or target)
    while True:
        with tempfile.TemporaryDirectory(prefix="grade-") as folder:
            worker = Worker(target, Path(folder), options, done, limits)
            try:
                why, at = watched(worker, start, limits)
            finally:
                worker.kill()
            lines = worker.lines()
        for line in lines:
            if "card" in line:
                card = Card(**line["card"])
            if "entry" in line:
                done.append(Entry.of(line["entry"]))
        card.entries, card.seconds = done, time.monotonic() - start
        if not why:
            return card
        printed = f"\nwhat it printed last:\n{worker.said()}" if worker.said() else ""
        if at in (None, LOADING):
            card.status, card.message = "broken", f"{why} while it was loaded{printed}"
            return card
        if at == STOP:
            return card
        done.append(failed(at, f"{why}{printed}"))
        if time.monotonic() - start > limits.seconds:
            card.message = f"the time for all of it, {limits.seconds:g} s, is over: what is not in the table was not asked"
            return card


LOADING, STOP = "loading", "end"


def watched(worker: Worker, start: float, limits: Limits) -> tuple[str, str | None]:
    """Wait for the worker. (what went wrong or "", the row it was at)"""
    at, since, size = None, time.monotonic(), -1
    while True:
        running = worker.process.poll() is None
        now = time.monotonic()
        if worker.results.stat().st_size != size:
            size = worker.results.stat().st_size
            lines = worker.lines()
            begun = [line["begin"] for line in lines if "begin" in line]
            if begun and begun[-1] != at:
                at, since = begun[-1], now
        if at == STOP:
            return "", at
        if not running:
            code = worker.process.returncode
            if code < 0:
                return f"killed by {signal.Signals(-code).name}", at
            return f"it ended, with exit status {code}", at
        if now - since > limits.row:
            return f"no answer in {limits.row:g} s", at
        if now - start > limits.seconds:
            return f"the {limits.seconds:g} s for all of it were over", at
        time.sleep(0.02)


def failed(name: str, why: str) -> Entry:
    """The entry of a row that the worker did not come back from."""
    from .operations import OPERATIONS

    section = "operations" if name in OPERATIONS else "programs"
    return Entry(name, section, "fails", misses=[Miss("end", why)])


# ---- in the worker ------------------------------------------------------------------------------------


def work(request: str) -> None:
    """Judge what the request names, writing line after line."""
    job = json.loads(Path(request).read_text(encoding="utf-8"))
    end_with(job["supervisor"])
    limit_memory(job["memory"])
    results = open(job["results"], "a", encoding="utf-8")

    def write(**line: Any) -> None:
        results.write(json.dumps(line) + "\n")
        results.flush()

    from .adapters import NotInstalled, Unrecognised, load
    from .judge import blank, entries

    write(begin=LOADING)
    card = Card(Path(job["target"]).stem or job["target"])
    try:
        engine = load(job["target"])
    except NotInstalled as error:
        card.status, card.message = "skipped", str(error)
    except Unrecognised as error:
        card.status, card.message = "unrecognised", str(error)
    except (Exception, SystemExit) as error:
        card.status, card.message = "broken", explained(error)
    if card.status != "graded":
        write(card=header(card))
        write(begin=STOP)
        return
    options = job["options"]
    engine.waived = {**engine.waived, **dict.fromkeys(options.pop("without", ()), "as it was asked")}
    found = blank(engine)
    found.name = card.name if Path(job["target"]).exists() else engine.name
    write(card=header(found))
    done = [Entry.of(found) for found in job["done"]]
    for entry in entries(engine, done=done, begin=lambda name: write(begin=name), **options):
        write(entry=asdict(entry))
    write(begin=STOP)


def header(card: Card) -> dict:
    """A card without its rows, as data."""
    found = asdict(card)
    del found["entries"]
    return found


def explained(error: BaseException) -> str:
    """An error in the engine's code, with the place."""
    import traceback

    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    adapters = Path(__file__).parent / "adapters"
    own = [f for f in frames if Path(f.filename).parent != adapters and f.filename != __file__]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})" if own else ""
    if isinstance(error, SyntaxError):
        where = ""  # it says so itself
    return f"it cannot be loaded: {type(error).__name__}: {error}{where}"


def end_with(supervisor: int) -> None:
    """If whoever supervises is killed, nobody is left to stop this process and what it has started."""
    if os.name == "nt":
        return  # there a process keeps its parent's number

    def watch():
        while os.getppid() == supervisor:
            time.sleep(0.5)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def limit_memory(gib: float) -> None:
    """Let this process have no more than so much, where the system can hold it to that."""
    if not gib or sys.platform in ("win32", "darwin"):
        return
    import resource

    size = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    work(sys.argv[1])
    os._exit(0)  # whatever the engine has left running
