"""Shows which stage runs, how far it is and how long it will take.

Stages report `advance`; the display decides what is shown: bars on a terminal (rich), a plain line every few seconds
elsewhere, one JSON event a line with `--json`.  Python's logging goes through the same display.  Results are printed
by the command line, on stdout.

    with choose_display() as progress, progress.stage("weak filter", total=480) as stage:
        stage.advance(8, kept=3)
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TextIO

from limo.core.closing import Closing
from limo.core.interrupts import stop_in_order
from limo.core.language import translated, translated_together
from limo.core.secrets import hide_in_own
from limo.core.text import printable

Kind = Literal["start", "advance", "end", "stop", "log"]
_QUIET_LIBRARIES = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",  # it tells of each of five tries, and the error says it once
    "TOKENIZERS_PARALLELISM": "false",
}
PRIOR = 0.5  # weight of the plan against the pace seen, as a share of what is to come; our choice
_NO_TELEMETRY = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a stage, or a log line.  Times are seconds; `total` and remaining times are None where unknown."""

    kind: Kind
    stage: str = ""
    text: str = ""
    n_done: int = 0
    total: int | None = None
    elapsed_s: float = 0.0
    remaining_s: float | None = None
    run_remaining_s: float | None = None
    fields: dict[str, object] = field(default_factory=dict)


def shown(text: str) -> str:
    """A text as it may be shown: no secrets, no control characters."""
    return printable(hide_in_own(text))


class Stage:
    """A running piece of work; made by `Progress.stage`, used with `with`."""

    def __init__(self, progress: Progress, name: str, total: int | None, n_done: int) -> None:
        self.name, self.total, self.n_done = shown(name), total, n_done
        self.fields: dict[str, object] = {}
        self._progress, self._n_before, self._started_s = progress, n_done, progress.clock()
        self._counted_s = 0.0  # when the last piece was counted, since the start

    def advance(self, n: int = 1, **fields: object) -> None:
        """Count `n` more as done; `fields` are shown beside the bar until they are given again."""
        with self._progress.lock:
            self.n_done += n
            self._counted_s = self.elapsed_s if n else self._counted_s
            self.fields.update(fields)
            self._progress.show(self.event("advance"))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the stage started."""
        return self._progress.clock() - self._started_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go at the pace of this stage; what was done before it started does not count for the pace.

        None where nothing is counted yet, or nothing came for longer than all that is left should take.
        """
        n_new = self.n_done - self._n_before
        if self.total is None or n_new <= 0:
            return None
        n_left, since_s = max(self.total - self.n_done, 0), self.elapsed_s - self._counted_s
        left_s = self._counted_s / n_new * n_left - since_s
        return left_s if left_s > 0 else None if n_left and since_s else 0.0

    @property
    def share_done(self) -> float | None:
        """Of what this start has to do, the share that is done; None where it is not counted, or nothing is yet."""
        if self.total is None or self.n_done == self._n_before or self.total <= self._n_before:
            return None
        return min((self.n_done - self._n_before) / (self.total - self._n_before), 1.0)

    def event(self, kind: Kind) -> Event:
        """The present state of the stage."""
        remaining = self.remaining_s if kind == "advance" else None
        of_run = self._progress.remaining_s(self) if kind in ("start", "advance") else None
        if remaining is not None and of_run is not None and remaining >= of_run:
            remaining = None  # a pace, where the run's time weighs it against a plan: no stage outlasts its run
        fields = dict(self.fields)
        return Event(kind, self.name, "", self.n_done, self.total, self.elapsed_s, remaining, of_run, fields)

    def __enter__(self) -> Self:
        with self._progress.lock:
            self._progress.n_shown += 1
            self._progress.open_stages.append(self)
            self._progress.show(self.event("start"))
        return self

    def __exit__(self, error: object, *_: object) -> None:
        with self._progress.lock:
            self._progress.end(self, self.event("end" if error is None else "stop"))


class Progress(Closing):
    """Base of the displays: keeps the open stages and the times; a display overrides `show`.

    `stopped` describes the stages that ended with an error.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.lock = clock, threading.RLock()
        self.stopped: list[str] = []
        self.n_shown = 0  # lines and stages begun
        self.open_stages: list[Stage] = []
        self._expected_s: dict[str, float] = {}
        self._taken_s: dict[str, float] = {}

    def plan(self, expected_s: dict[str, float]) -> None:
        """The stages to come and the seconds that each is expected to take; gives the run a remaining time."""
        self._expected_s = {shown(name): seconds for name, seconds in expected_s.items()}

    def stage(self, name: str, total: int | None = None, n_done: int = 0) -> Stage:
        """A stage of `total` pieces, `n_done` of them done by an earlier start; stages may contain stages."""
        return Stage(self, name, total, n_done)

    def log(self, text: str) -> None:
        """Show one line."""
        with self.lock:
            self.n_shown += 1
            self.show(Event("log", text=shown(text)))

    def remaining_s(self, stage: Stage) -> float | None:
        """Seconds until the planned run ends; None without a plan.

        At the pace so far against the plan's, which weighs the less the more is done, so that neither a first piece nor
        the end of a stage makes the time jump.
        """
        planned = next((s for s in [*self.open_stages, stage] if s.name in self._expected_s), None)
        if planned is None:
            return None
        expected_s, total_s = self._expected_s[planned.name], sum(self._expected_s.values())
        share = planned.share_done
        if share is None:  # nothing is counted: as much as its time says
            share = min(planned.elapsed_s / expected_s, 1.0) if expected_s else 1.0
        done_s = sum(self._expected_s[name] for name in self._taken_s) + share * expected_s
        taken_s = sum(self._taken_s.values()) + planned.elapsed_s
        to_come_s = total_s - done_s
        prior_s = PRIOR * to_come_s
        return to_come_s * (taken_s + prior_s) / (done_s + prior_s) if to_come_s else 0.0

    def end(self, stage: Stage, event: Event) -> None:
        """Close a stage that ended, or stopped with an error."""
        if stage in self.open_stages:
            self.open_stages.remove(stage)
        if stage.name in self._expected_s:
            self._taken_s[stage.name] = stage.elapsed_s
        if event.kind == "stop":
            self.stopped.append(describe_line(event))
        self.show(event)

    def show(self, event: Event) -> None:
        """Bring an event to the reader."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave the terminal as it was."""


class NoProgress(Progress):
    """Shows nothing; keeps the events, of successive `advance` events the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.events: list[Event] = []

    def show(self, event: Event) -> None:
        if event.kind == "advance" and self.events and self.events[-1].kind == "advance":
            self.events.pop()
        self.events.append(event)

    @property
    def logged(self) -> list[str]:
        """Every log line."""
        return [event.text for event in self.events if event.kind == "log"]


class PlainProgress(Progress):
    """Lines for an output that is no terminal; `every_s`: shortest time between two `advance` lines of a stage."""

    def __init__(self, stream: TextIO, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.stream, self.every_s = stream, every_s
        self._last_s: dict[str, float] = {}

    def show(self, event: Event) -> None:
        now = self.clock()
        if event.kind == "advance" and now - self._last_s.get(event.stage, now) < self.every_s:
            return
        self._last_s[event.stage] = now
        self.write(self.line(event))

    def write(self, line: str) -> None:
        """Print the line, if it can be: a terminal that went away or a full disk stops no work."""
        with contextlib.suppress(OSError, ValueError):
            print_line(line, self.stream)

    def line(self, event: Event) -> str:
        """The event in one line."""
        return describe_line(event)


def print_line(text: str, stream: TextIO) -> None:
    """Write one line at once."""
    stream.write(text + "\n")
    stream.flush()


class JsonProgress(PlainProgress):
    """One JSON object a line, for programs; unknown values are left out.

    A reader that has gone, for example `head`, stops the work as a first signal does.
    """

    _has_reader = True

    def write(self, line: str) -> None:
        """Print the line, if it can be."""
        with contextlib.suppress(OSError, ValueError):
            try:
                print_line(line, self.stream)
            except BrokenPipeError:
                if self._has_reader:
                    self._has_reader = False
                    stop_in_order()

    def line(self, event: Event) -> str:
        if event.kind == "log":
            return json.dumps({"event": "log", "text": event.text})
        known = {key: _rounded(value) for key, value in asdict(event).items() if value not in ("", None, {})}
        return json.dumps({"event": known.pop("kind"), **known}, default=str)


class TerminalProgress(Progress):
    """Bars on a terminal, drawn by rich on stderr."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        def text_column(text: str) -> TextColumn:  # folded: a narrow terminal gets more lines, not less text
            return TextColumn(text, markup=False, table_column=Column(no_wrap=False, overflow="fold"))

        console = Console(stderr=True)
        name, state = text_column("{task.description}"), text_column("{task.fields[state]}")
        bar = BarColumn(24 if console.width >= 120 else 10)
        self._bars = Bars(SpinnerColumn(), name, bar, state, console=console, transient=True)
        self._task_by_stage: dict[Stage, Any] = {}

    def show(self, event: Event) -> None:
        if event.kind == "start":
            self._bars.start()
        if event.kind != "log":
            self._draw(event)
        if event.kind in ("log", "end", "stop"):  # a line above the bars
            self._bars.console.print(describe_line(event), markup=False, highlight=False, soft_wrap=True)
        if event.kind in ("end", "stop") and not self.open_stages:
            self._bars.stop()

    def _draw(self, event: Event) -> None:
        for ended in [stage for stage in self._task_by_stage if stage not in self.open_stages]:
            self._bars.remove_task(self._task_by_stage.pop(ended))
        stage = next((stage for stage in reversed(self.open_stages) if stage.name == event.stage), None)
        if stage is None:
            return
        if stage not in self._task_by_stage:
            self._task_by_stage[stage] = self._bars.add_task(translated(event.stage), total=event.total, state="")
        self._bars.update(self._task_by_stage[stage], completed=event.n_done, state=describe(event))

    def close(self) -> None:
        self._bars.stop()


def choose_display(as_json: bool = False, stderr: TextIO | None = None) -> Progress:
    """JSON events on stdout, bars on a terminal, plain lines elsewhere."""
    if as_json:
        return JsonProgress(sys.stdout, every_s=1.0)
    stream = stderr or sys.stderr
    is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    return TerminalProgress() if is_terminal else PlainProgress(stream)


def describe_line(event: Event) -> str:
    """An event in one line, in the reader's language."""
    if event.kind == "log":
        return translated(event.text)
    stage, colon, comma, *parts = translated_together((event.stage, ": ", ", ", *_parts(event)))
    return stage + colon + comma.join(parts)


def describe(event: Event) -> str:
    """A stage's state in words: how many of how many, the time to go, and its fields."""
    comma, *parts = translated_together((", ", *_parts(event)))
    return comma.join(parts)


def _parts(event: Event) -> list[str]:
    of_total = f" of {event.total:,}" if event.total is not None else ""
    parts = [f"{event.n_done:,}{of_total}"] if event.n_done or event.total else []
    if event.kind == "start":
        parts.insert(0, "begins")
    if event.kind in ("end", "stop"):
        parts.insert(0, f"{'done' if event.kind == 'end' else 'stopped'} after {duration(event.elapsed_s)}")
    if event.remaining_s is not None:
        parts.append(f"{duration(event.remaining_s)} left in this stage")
    if event.run_remaining_s is not None:
        parts.append(f"{duration(event.run_remaining_s)} left in this run")
    for key, value in event.fields.items():  # those that hold something; `tokens/s 1,200` for tokens_per_s=1200
        name = key.replace("_per_s", "/s").replace("_", " ")
        if value != "":
            parts.append(f"{name} {value:,}" if isinstance(value, int) else shown(f"{name} {_rounded(value)}"))
    return parts


def duration(seconds: float) -> str:
    """A duration: `8.2 s`, `24 s`, `3 min 05 s`, `1 h 02 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if minutes:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    return f"{seconds:.1f} s" if seconds < 10 and seconds != rest else f"{rest} s"


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


class _LogHandler(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # a library's mistake in its log line never stops the work, nor prints a traceback
            text = str(record.msg)
        source = "" if record.name.startswith("limo.") else f"{record.name}: "  # whose own lines have a translation
        self._progress.log(f"{record.levelname.lower()}: {source}{text}")


def start_logging(progress: Progress, debug: bool = False) -> None:
    """Send Python's logging and warnings through `progress`; without `debug` only the errors of libraries.

    Call it before transformers, datasets or TRL are imported: their bars and their telemetry are switched off by
    environment variables that they read on import; those that the user has set are kept.
    """
    for name, value in (_NO_TELEMETRY | ({} if debug else _QUIET_LIBRARIES)).items():
        os.environ.setdefault(name, value)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_LogHandler(progress)]
    root.setLevel(logging.INFO if debug else logging.ERROR)
    logging.getLogger("limo").setLevel(logging.DEBUG if debug else logging.WARNING)
