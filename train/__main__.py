"""Command line of the training room; each command lives in a module of its own.

python -m train RECIPE --data DIR --out DIR      (the same as: python -m train run RECIPE ...)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "data": "train.data.command",
    "report": "train.report.command",
    "run": "train.fit.command",
    "eval": "train.evaluation.command",
    "own": "train.own.command",
    "latency": "train.latency.command",
    "init": "train.fit.init_command",
}
"""Command name to the module whose ``main`` it is; imported only when asked for."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).main
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A recipe needs no command before it."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main(**_: Any) -> None:
    """Train, evaluate and compare segmentation networks. RECIPE alone means: run RECIPE."""


if __name__ == "__main__":
    main(prog_name="python -m train")
