"""``rootlet doctor``: what works on this machine, and the line that mends what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from builder.cli import machine
from builder.cli.options import archive_options, read_archive_options
from builder.errors import MachineError
from builder.progress import Silent

if TYPE_CHECKING:
    from builder.doctor import Row


@click.command("doctor")
@archive_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(**options: Any) -> int:
    """Try what builds need, before one of them does: folders, tests, stages, every isolation, storage.

    The exit code is 0 when builds with and without stages and tests of images work here, else 9.
    """
    from builder.cli.workshop import MachineOptions, make_workshop  # noqa: PLC0415 (imports of one command)
    from builder.doctor import Person, all_needed, examine  # noqa: PLC0415 (as above)
    from builder.sources.stage.bench import bench_of  # noqa: PLC0415 (as above)

    workshop = make_workshop(
        MachineOptions(archive=read_archive_options(options), cache=options["cache"], database=None),
        Silent(),
    )
    uid, name = machine.user()
    bench = bench_of(workshop.runner, workshop.progress, workshop.cache, workshop.stages)
    rows: list[Row] = []
    for row in examine(workshop, bench, Person(uid=uid, name=name)):
        rows.append(row)
        if not options["as_json"]:
            click.echo(_text(row, colour=machine.colour()))
    if options["as_json"]:
        click.echo(json.dumps({"works": all_needed(rows), "rows": [asdict(row) for row in rows]}, indent=2))
    return 0 if all_needed(rows) else MachineError.exit_code


def _text(row: Row, *, colour: bool) -> str:
    mark = "✓" if row.works else "✗" if row.needed else "!"
    mark = f"\x1b[{32 if row.works else 31 if row.needed else 33}m{mark}\x1b[0m" if colour else mark
    hint = f"\n{'':26}hint: {row.hint}" if row.hint and not row.works else ""
    return f"{mark} {row.name:<23} {row.detail}{hint}"
