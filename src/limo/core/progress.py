"""What the program is doing, how far it is and how long it will still take: said in this one place.

A stage reports `advance`; the display decides what a person or a machine sees.  On a terminal rich draws bars,
elsewhere plain lines come at most every few seconds, with `--json` one event a line.  The logging of libraries runs
into the same place, so that nothing tears the display.

    with choose() as progress, progress.stage("weak filter", total=480) as stage:
        stage.advance(8, kept=3)

What it does not do: print results (they go to stdout, by the command line), or keep anything on disk.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TextIO

Kind = Literal["start", "advance", "end", "stop", "log"]
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.  Times are seconds; `total` and the remaining times are None where unknown."""

    kind: Kind
    stage: str = ""
    text: str = ""
    n_done: int = 0
    total: int | None = None
    elapsed_s: float = 0.0
    remaining_s: float | None = None
    run_remaining_s: float | None = None
    fields: dict[str, object] = field(default_factory=dict)


class Stage:
    """A piece of work under way; made by `Progress.stage`, used with `with`."""

    def __init__(self, progress: Progress, name: str, total: int | None, n_done: int) -> None:
        self.name, self.total, self.n_done = name, total, n_done
        self.fields: dict[str, object] = {}
        self._progress, self._n_before, self._began = progress, n_done, progress.clock()

    def advance(self, n: int = 1, **fields: object) -> None:
        """Count `n` more as done; `fields` are shown beside the bar until they are given anew."""
        with self._progress.lock:
            self.n_done += n
            self.fields.update(fields)
            self._progress.show(self.event("advance"))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the stage began."""
        return self._progress.clock() - self._began

    @property
    def remaining_s(self) -> float | None:
        """Seconds still to go at the pace of this stage so far; what was done before it began sets no pace."""
        n_fresh = self.n_done - self._n_before
        if self.total is None or n_fresh <= 0:
            return None
        return self.elapsed_s / n_fresh * max(self.total - self.n_done, 0)

    def event(self, kind: Kind) -> Event:
        """The stage as it stands now."""
        left = self.remaining_s if kind == "advance" else None
        in_all = self._progress.remaining_s(self) if kind in ("start", "advance") else None
        return Event(kind, self.name, "", self.n_done, self.total, self.elapsed_s, left, in_all, dict(self.fields))

    def __enter__(self) -> Self:
        self._progress.enter(self)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._progress.leave(self, "end" if kind is None else "stop")


class Progress:
    """Base of the displays: keeps the stages and the times; a display overrides `show`.

    `every_s` is the shortest time between two `advance` events of one stage that reach the display.
    """

    every_s = 0.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.lock = clock, threading.RLock()
        self.stopped: list[str] = []  # what stages that were stopped had done, for whoever tells it
        self._open: list[Stage] = []
        self._expected_s: dict[str, float] = {}
        self._taken_s: dict[str, float] = {}

    def plan(self, expected_s: dict[str, float]) -> None:
        """Name the stages to come and the seconds each is expected to take, so that the run has an end in sight."""
        self._expected_s = dict(expected_s)

    def stage(self, name: str, total: int | None = None, n_done: int = 0) -> Stage:
        """A stage of `total` pieces, `n_done` of which were done by an earlier start; stages may stand in stages."""
        return Stage(self, name, total, n_done)

    def log(self, text: str) -> None:
        """One line for the person."""
        with self.lock:
            self.show(Event("log", text=text))

    def remaining_s(self, stage: Stage) -> float | None:
        """Seconds until the planned run ends, at the pace of its planned stages so far; None without a plan."""
        planned = next((s for s in [*self._open, stage] if s.name in self._expected_s), None)
        if planned is None:
            return None
        due, left = self._expected_s[planned.name], planned.remaining_s
        if left is None:  # nothing counted yet: the plan's word for it
            left = max(due - planned.elapsed_s, 0.0)
        taken = sum(self._taken_s.values()) + planned.elapsed_s + left
        expected = sum(self._expected_s[name] for name in self._taken_s) + due
        pace = taken / expected if expected else 1.0
        to_come = [name for name in self._expected_s if name not in self._taken_s and name != planned.name]
        return left + pace * sum(self._expected_s[name] for name in to_come)

    def enter(self, stage: Stage) -> None:
        """Called by the stage itself."""
        with self.lock:
            self._open.append(stage)
            self.show(stage.event("start"))

    def leave(self, stage: Stage, kind: Literal["end", "stop"]) -> None:
        """Called by the stage itself."""
        with self.lock:
            if stage in self._open:
                self._open.remove(stage)
            if stage.name in self._expected_s:
                self._taken_s[stage.name] = stage.elapsed_s
            event = stage.event(kind)
            if kind == "stop":
                self.stopped.append(f"{stage.name} {describe(event)}")
            self.show(event)

    def show(self, event: Event) -> None:
        """Bring an event before the reader."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave the terminal as it was."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NoProgress(Progress):
    """Shows nothing and remembers everything: for tests and for use from Python."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.events: list[Event] = []

    def show(self, event: Event) -> None:
        """Keep the event; a long run's `advance` events are not kept one by one."""
        if event.kind == "advance" and self.events and self.events[-1].kind == "advance":
            self.events[-1] = event
        else:
            self.events.append(event)

    @property
    def said(self) -> list[str]:
        """Every line that was said."""
        return [event.text for event in self.events if event.kind == "log"]


class _Stream(Progress):
    """A display that writes lines, not too many of them."""

    def __init__(self, stream: TextIO, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.stream, self.every_s = stream, every_s
        self._last: dict[str, float] = {}

    def show(self, event: Event) -> None:
        """Write the event's line unless one of its stage came a moment ago."""
        now = self.clock()
        if event.kind == "advance" and now - self._last.get(event.stage, now) < self.every_s:
            return
        self._last[event.stage] = now
        self.stream.write(self.line(event) + "\n")
        self.stream.flush()

    def line(self, event: Event) -> str:
        """The event in one line."""
        raise NotImplementedError


class Plain(_Stream):
    """Lines for a person whose output is no terminal: a log file, a CI page."""

    def __init__(self, stream: TextIO, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, every_s, clock)

    def line(self, event: Event) -> str:
        """The event in one line of text."""
        return event.text if event.kind == "log" else f"{event.stage}: {describe(event)}"


class Json(_Stream):
    """One JSON object a line for programs; every object has `event`."""

    def __init__(self, stream: TextIO, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, every_s, clock)

    def line(self, event: Event) -> str:
        """The event in one line of JSON, without what it does not know."""
        known = {key: _rounded(value) for key, value in asdict(event).items() if value not in ("", None, {})}
        kind = known.pop("kind")
        if kind == "log":
            known = {"text": event.text}
        return json.dumps({"event": kind, **known}, default=str)


class Terminal(Progress):
    """Bars on a terminal, drawn by rich on stderr."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        console = Console(stderr=True)
        folds = lambda: Column(no_wrap=False, overflow="fold")  # noqa: E731  a narrow terminal gets more lines, not less text
        text = TextColumn("{task.description}", markup=False, table_column=folds())
        state = TextColumn("{task.fields[state]}", markup=False, table_column=folds())
        bar = BarColumn(24 if console.width >= 120 else 10)
        self._bars = Bars(SpinnerColumn(), text, bar, state, console=console, transient=True)
        self._tasks: dict[int, Any] = {}

    def show(self, event: Event) -> None:
        """Draw the event; what is finished leaves a line above the bars."""
        if event.kind == "log":
            self._print(event.text)
            return
        if event.kind == "start":
            self._bars.start()
        self._draw(event)
        if event.kind in ("end", "stop"):
            self._print(f"{event.stage}: {describe(event)}")
            if not self._open:
                self._bars.stop()

    def _draw(self, event: Event) -> None:
        key = next((id(stage) for stage in reversed(self._open) if stage.name == event.stage), None)
        for gone in self._tasks.keys() - {id(stage) for stage in self._open}:
            self._bars.remove_task(self._tasks.pop(gone))
        if key is None:
            return
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(event.stage, total=event.total, state="")
        self._bars.update(self._tasks[key], completed=event.n_done, state=describe(event))

    def _print(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Stop drawing and give the cursor back."""
        self._bars.stop()


def choose(as_json: bool = False, stderr: TextIO | None = None, stdout: TextIO | None = None) -> Progress:
    """The display that fits: JSON events on stdout, bars on a terminal, plain lines elsewhere."""
    if as_json:
        return Json(stdout or sys.stdout)
    stream = stderr or sys.stderr
    return Terminal() if stream.isatty() and os.environ.get("TERM") != "dumb" else Plain(stream)


def describe(event: Event) -> str:
    """A stage's state in words: how many of how many, how long to go, and its fields."""
    of = f"{event.n_done:,}" + (f" of {event.total:,}" if event.total is not None else "")
    parts = [of] if event.n_done or event.total else []
    if event.kind == "start":
        parts = ["begins", *parts[:1]] if parts else ["begins"]
    if event.kind in ("end", "stop"):
        parts = [("done" if event.kind == "end" else "stopped") + " after " + duration(event.elapsed_s), *parts]
    if event.remaining_s is not None:
        parts.append(f"{duration(event.remaining_s)} left")
    if event.run_remaining_s is not None:
        parts.append(f"{duration(event.run_remaining_s)} in all")
    return ", ".join([*parts, *(_told(key, value) for key, value in event.fields.items())])


def _told(key: str, value: object) -> str:
    """A field for a person: `tokens/s 1,200` and not `tokens_per_s 1200`."""
    name = key.replace("_per_s", "/s").replace("_", " ")
    return f"{name} {value:,}" if isinstance(value, int) else f"{name} {_rounded(value)}"


def duration(seconds: float) -> str:
    """A duration: `8.2 s`, `24 s`, `3 min 05 s`, `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != whole else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


class _Into(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._progress.log(f"{record.levelname.lower()}: {record.name}: {record.getMessage()}")
        except Exception:  # logging's own rule: a log line never stops the work
            self.handleError(record)


def start_logging(progress: Progress, debug: bool = False) -> None:
    """Send Python's logging and warnings through `progress`; without `debug` libraries speak of errors only.

    Call it before transformers, datasets or TRL are imported: their own bars are switched off by environment
    variables, which they read on import and which the user may have set otherwise.
    """
    for name, value in () if debug else _QUIET.items():
        os.environ.setdefault(name, value)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_Into(progress)]
    root.setLevel(logging.INFO if debug else logging.ERROR)
    logging.getLogger("limo").setLevel(logging.DEBUG if debug else logging.WARNING)
