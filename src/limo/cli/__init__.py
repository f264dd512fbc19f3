"""The command line: parse, call a stage, print.

    limo lab --run runs/lab
    limo curate replay data=../shared/data --run runs/replay
    limo verify rows.jsonl -o verified.jsonl

Heavy modules are imported inside the commands, so that `limo --help` is fast.
"""

from __future__ import annotations

import click

from limo.cli import curate, lab, pool, report, rollouts, scores, start, train, verify, view
from limo.cli.command import end_process, run_command
from limo.core import VERSION
from limo.core.language import LANGUAGES


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--lang", type=click.Choice(LANGUAGES), expose_value=False, help="Language of what is printed, as of each command."
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def root() -> None:
    """A small, hard, well-reasoned set of examples: chosen with evidence, trained on, proved by measurement.

    \b
    limo lab                                        the whole method in minutes on two CPU cores
    limo curate RECIPE [section.key=value ...]      from a pool to a dataset; again: continues where it stopped

    RECIPE is a YAML file or the name of a shipped recipe.  Exit codes: 0 done, 1 a bug, 2 an input error, 3 stopped
    before the end (the same command continues).  --lang zh, or LIMO_LANG=zh for all: Chinese tables and messages.
    """


for _module in (start, lab, curate, rollouts, train, scores, report, pool, verify, view):
    for _command in _module.COMMANDS:
        root.add_command(_command)


def main() -> None:
    """Entry point of the `limo` script."""
    end_process(lambda: run_command(root))
