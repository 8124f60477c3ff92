"""`fairlabel demo`: fills a demo instance and prints a one-time sign-in for each role, as soon as people exist.

Exit code 0 if the demo stands, 1 if it could not be made, 2 if this instance is not one for demonstrations. Called
again, it only prints new sign-ins.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from annotate.stack.home import instance_environment

KNOWN_BEFORE = timedelta(weeks=6)
LINK_MINUTES = 24 * 60
ORDER = ("requester", "worker", "organizer", "operator")


@click.command(short_help="Fill this demo instance.")
@click.option(
    "--url", envvar="FAIRLABEL_BASE_URL", help="Where the instance is; else where it was last started."
)
@click.option("--fast", is_flag=True, help="A small demo with a few items.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document with the sign-ins.")
def demo(url: str | None, *, fast: bool, as_document: bool) -> None:
    """Fill this demo instance with people, work and pay, and print sign-ins."""
    os.environ.update(instance_environment())
    from tasks.settings import TaskSettings

    settings = TaskSettings.from_env()
    if settings.fairlabel_instance == "production" or not settings.simulated:
        raise click.UsageError(
            "This is not an instance for demonstrations. Start one with `fairlabel up --demo`, or set "
            "FAIRLABEL_INSTANCE=demo and FAIRLABEL_CLOCK=simulated."
        )
    from annotate.settings import WebSettings

    web = WebSettings.from_env()
    fill(settings.database_url, url or web.base_url, web.secret_key, fast=fast, as_document=as_document)


def fill(database_url: str, url: str, secret: str, *, fast: bool, as_document: bool) -> None:
    """Make the demo if it is not there, and print sign-ins."""
    import annotate.tables  # noqa: F401  loads every table
    from annotate import demo as story
    from annotate.bootstrap import operator_token, rules_and_rates
    from tasks.db import engine_for, transaction

    console = Console(highlight=False, stderr=as_document)
    now = datetime.now(UTC)
    known_from = now - KNOWN_BEFORE
    with transaction(engine_for(database_url, 2)) as session:
        token = operator_token(session, "Demo operator", known_from)
    made = story.Demo(url, token, secret, now, fast)
    if story.is_made(made):
        links = sign_ins(database_url, made)
        show(console, links)
    else:
        began = time.monotonic()
        with transaction(engine_for(database_url, 2)) as session:
            rules_and_rates(session, known_from)
        story.people(made)
        console.print("  [green]✓[/] People are here, pay rules are in force [dim](demo, unverified)[/]")
        links = sign_ins(database_url, made)
        show(console, links)
        crowd(made, console)
        console.print(f"  [green]✓[/] The demo stands [dim]{time.monotonic() - began:.1f} s[/]")
    if as_document:
        click.echo(json.dumps({"url": url, "sign_ins": links}, ensure_ascii=False))


def crowd(made: Any, console: Console) -> None:
    """Let the crowd work, showing how far it is."""
    from annotate import demo as story

    def say(text: str) -> None:
        console.print(f"  [green]✓[/] {text}", soft_wrap=True)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("  Answers of four workers", total=story.total(fast=made.fast))
        story.work(made, lambda done: progress.advance(bar, done), say)
        # A few items were skipped, as real workers skip; the work is done all the same.
        progress.update(bar, total=progress.tasks[bar].completed)


def sign_ins(database_url: str, made: Any) -> list[dict[str, str]]:
    """Make a one-time sign-in for everybody."""
    from annotate import auth
    from tasks.db import engine_for, transaction
    from tasks.people import get_person

    with made.operator() as operator:
        found = sorted(operator.get("/api/v1/people"), key=lambda one: ORDER.index(one["role"]))
    now = datetime.now(UTC)
    links = []
    with transaction(engine_for(database_url, 2)) as session:
        for one in found:
            token = auth.make_link(session, get_person(session, UUID(one["id"])), now, LINK_MINUTES)
            links.append({"role": one["role"], "name": who(one), "url": f"{made.url}/enter/{token}"})
    return links


def show(console: Console, links: list[dict[str, str]]) -> None:
    """Print the sign-ins, aligned; a link is never cut."""
    roles, names, urls = (max(len(one[part]) for one in links) for part in ("role", "name", "url"))
    in_one_line = roles + names + urls + 6 <= console.width or not console.is_terminal
    console.print("\n  Sign in with one of these links; each works once, for a day:\n")
    for one in links:
        between = "  " if in_one_line else "\n    "
        written = f"  {one['role']:{roles}}  {one['name']:{names if in_one_line else 0}}{between}{one['url']}"
        console.print(written, soft_wrap=True, markup=False)
    console.print()


def who(person: dict[str, Any]) -> str:
    """Name somebody with their place or organisation."""
    from annotate.i18n import Formats

    where = Formats("en", "UTC").place(person["place"]) if person["place"] else person["organisation"]
    return f"{person['name']}, {where}" if where else str(person["name"])
