"""The command `fairlabel`: names every command and loads only the module of the one that is called.

Exit codes: 0 done, 1 it could not be done, 2 the command line or a setting is wrong. The reason is on standard error;
with --json it is the document on standard output.
"""

import importlib
import json
import sys
from typing import Any, NoReturn

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
    "agreement": ("annotate.commands.agreement:agreement", "Measure the agreement of a table of answers."),
    "consensus": ("annotate.commands.consensus:consensus", "Bring a table of answers together."),
    "replay": ("annotate.commands.replay:replay", "Play a recording of real answers and check everything."),
    "simulate": (
        "annotate.commands.simulate:simulate",
        "Say what adaptive redundancy would have saved on old answers.",
    ),
    "demo": ("annotate.commands.demo:demo", "Fill this demo instance with people, work and pay."),
}


EXIT_CODES = (
    "Exit codes: 0 done; 1 it could not be done; 2 the command line or a setting is wrong. The reason is on standard "
    "error; with --json it is the document on standard output."
)


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
        if not isinstance(command, click.Command):
            return None
        command.epilog = command.epilog or EXIT_CODES
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say expected troubles in their own sentence."""
        from tasks.errors import FairlabelError
        from tasks.settings import UnsafeSetting

        as_document = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except FairlabelError as problem:
            _tell(type(problem).__name__, problem.message, 1, as_document=as_document)
        except UnsafeSetting as problem:
            _tell("UnsafeSetting", str(problem), 2, as_document=as_document)
        except click.ClickException as problem:
            if not as_document:
                raise
            _tell("WrongCommand", problem.format_message(), problem.exit_code, as_document=True)


def _tell(title: str, detail: str, exit_code: int, *, as_document: bool) -> NoReturn:
    """Say what is wrong, to people on standard error or to programs as one document, and end."""
    if as_document:
        click.echo(json.dumps({"title": title, "detail": detail, "exit_code": exit_code}, ensure_ascii=False))
    else:
        click.echo(detail, err=True)
    sys.exit(exit_code)


@click.group(cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fairlabel")
def main() -> None:
    """Fairlabel: crowdsourced data annotation with fair pay and open books."""


if __name__ == "__main__":
    main(prog_name="fairlabel")
