"""The command view.

limo view runs/mine
limo view runs/base runs/limo --port 8910
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from limo.cli.command import Call, command
from limo.core.errors import MissingFileError
from limo.core.interrupts import stop_has_arrived


@command(
    "view",
    click.argument("runs", nargs=-1, required=True, metavar="RUN..."),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=8910,
        show_default=True,
        help="On 127.0.0.1; 0: one that is free.",
    ),
    click.option("--open", "in_browser", is_flag=True, help="Open the address in the browser."),
)
def view(call: Call, runs: tuple[str, ...], port: int, in_browser: bool) -> None:
    """Browse the rollouts of runs in the web browser, until Ctrl-C.

    A problem is a row, a model of a run a column; texts side by side, search in completions, filters.  RUN is a run
    folder, a ledger, or a folder with runs in it.  Only this machine can connect, and only with the address printed.
    """
    from limo.ledger.store import Ledger
    from limo.report.view import app
    from limo.report.view.index import open_index
    from limo.report.view.query import HOST, Browser, OpenedRun

    ledgers, opened = _ledgers(runs), []
    with app.listen(port) as listening:  # before the indexes, which take long
        for name, ledger in ledgers.items():
            Ledger(ledger, read_only=True).close()  # checked, and upgraded where it is of an older version
            folder = ledger.parent if (ledger.parent / "recipe.yaml").is_file() else None
            opened.append(OpenedRun(name, ledger, open_index(ledger, folder, call.progress)))
        token = app.new_token()
        url = f"http://{HOST}:{listening.getsockname()[1]}/?{app.TOKEN}={token}"
        with Browser(opened) as browser:
            call.result({"url": url, "runs": [run.name for run in opened]}, f"{url}\nCtrl-C ends it")
            if in_browser:
                click.launch(url)
            with suppress(KeyboardInterrupt):
                app.serve(browser, listening, token)
            stop_has_arrived()


def _ledgers(runs: tuple[str, ...]) -> dict[str, Path]:
    """The ledgers of runs by the runs' names; of a folder whose folders are runs or labs, those of all of them.

    Nothing is looked for where no run is: below `/` there may be anything.
    """
    ledgers: dict[str, Path] = {}
    for run in runs:
        path = Path(run)
        here = [path] if path.is_file() else [path / "ledger.sqlite"]
        runs_there = [path] if _is_run(path) else filter(_is_run, path.iterdir() if path.is_dir() else ())
        found = here if here[0].is_file() else sorted(file for one in runs_there for file in one.rglob("ledger.sqlite"))
        if not found:
            what = "there is no ledger in this run" if _is_run(path) else "no folder in this one is a run"
            what = what if path.exists() else "there is no such run"
            do = "check the path; stages without rollouts (training, comparing) have none"
            raise MissingFileError(what, run, "the folder of a run, or a ledger.sqlite", do)
        ledgers |= {str(file.parent if file.name == "ledger.sqlite" else file): file for file in found}
    return ledgers


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in ("environment.json", "recipe.yaml", "ledger.sqlite"))


COMMANDS = (view,)
