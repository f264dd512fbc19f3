"""The one command, `limo`: parse, call, print.

    limo lab --run runs/lab
    limo curate replay data=../shared/data --run runs/replay
    limo verify rows.jsonl -o verified.jsonl

Every command has one shape (`shape`), every error one way out (`boundary`).  The bodies stand with their neighbours
on the road (`road`), for pools (`pool`), for loose files (`verifying`, `loose`, `grading`) and for looking at what is
there (`look`); each imports what is heavy inside itself, so that `limo --help` answers at once.

What it does not do: any work of its own.
"""

from __future__ import annotations

import click

from limo.cli import asking, grading, look, loose, measuring, pool, road, verifying
from limo.cli.boundary import guarded


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="limo", message="%(prog)s %(version)s")
def root() -> None:
    """A small, hard, well-reasoned set of examples: chosen with evidence, trained on, proved by measurement.

    \b
    limo lab                                        the whole method in minutes on two CPU cores
    limo curate RECIPE [section.key=value ...]      from a pool to a dataset; again: goes on where it stopped

    Exit codes: 0 done, 1 a bug, 2 your input, 3 stopped on the way (the same command goes on).
    """


for _room in (road, asking, measuring, pool, verifying, loose, grading, look):
    for _command in _room.COMMANDS:
        root.add_command(_command)


def main() -> None:
    """What the `limo` script runs."""
    guarded(root)
