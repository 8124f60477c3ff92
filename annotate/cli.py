"""The command `fairlabel`: names every command and loads only the module of the one that is called.

Exit codes: 0 done, 1 it could not be done (the reason is on standard error), 2 the command line or a
setting is wrong.
"""

import importlib
import sys
from typing import Any

import click

COMMANDS = {
    "up": ("annotate.commands.up:up", "Start everything here: database, broker, web, worker."),
    "doctor": ("annotate.commands.doctor:doctor", "Say what works and what does not."),
    "migrate": ("annotate.commands.serve:migrate", "Bring the database to the newest shape."),
    "serve": ("annotate.commands.serve:serve", "Serve the pages and the API."),
    "worker": ("annotate.commands.serve:worker", "Do the jobs of the queue."),
    "bundle": ("annotate.commands.bundle:bundle", "Write the audit bundle of closed periods."),
    "verify": ("annotate.commands.verify:verify", "Recompute an audit bundle offline."),
    "audit": ("annotate.commands.audit:audit", "Recompute wages from the files of others."),
    "replay": ("annotate.commands.replay:replay", "Play a recording of real answers and check everything."),
    "demo": ("annotate.commands.demo:demo", "Fill this demo instance with people, work and pay."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands in their order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), function)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say expected troubles in their own sentence."""
        from tasks.errors import FairlabelError
        from tasks.settings import UnsafeSetting

        try:
            return super().invoke(ctx)
        except FairlabelError as problem:
            click.echo(problem.message, err=True)
            sys.exit(1)
        except UnsafeSetting as problem:
            click.echo(str(problem), err=True)
            sys.exit(2)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fairlabel")
def main() -> None:
    """Fairlabel: crowdsourced data annotation with fair pay and open books."""


if __name__ == "__main__":
    main(prog_name="fairlabel")
