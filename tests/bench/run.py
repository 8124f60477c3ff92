"""The figures of `make bench`: each beside a yardstick measured in the same run, because absolute seconds say little.

    claim+submit   our own functions against pgbench running the same SQL, one client and four
    next+answer    CPU milliseconds per answer through HTTP, at 10,000 and at 100,000 items
    move           import and export over the API against COPY of the same rows, and the memory that they take
    verify         CPU of `fairlabel verify` against unpacking, hashing, parsing and checking signatures alone
    decide         CPU of deciding about one item without the database, in a small and in a large batch
    simulate       answers and accuracy of the adaptive rule on recorded crowds, against ten answers and majority vote
    page           bytes of the workspace's code and of a first visit, compressed
    peers          the peers' own driver on us, beside their recorded figures; only when it is named
    start          seconds until a later `fairlabel up` serves its page, against what is aimed at

BENCH_SECONDS says how long each rate is measured, BENCH_ENTRIES how many entries the verified log has at least; names
as arguments choose measures: `python tests/bench/run.py verify page`. A durable server would measure the disk; the
cluster here forgets everything, so that the ratio shows our own work.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import claims, deciding, moving, peering, starting, verifying, website
from rich.console import Console
from rich.table import Table

from annotate.stack.postgres import throw_away_cluster

START_AIM = 6
"""Seconds."""
Rows = Iterator[tuple[str, str, str, str]]


def main(only: list[str]) -> None:
    """Measure and print."""
    table = Table("measure", "ours", "yardstick", "ratio")
    with throw_away_cluster() as server, tempfile.TemporaryDirectory() as folder:
        for name, measure in (MEASURES | NAMED).items():
            if name in (only or MEASURES):
                for row in measure(server, Path(folder)):
                    table.add_row(*row)
    Console(width=120).print(table)


def claim(server: str, folder: Path) -> Rows:
    """Compare with pgbench."""
    for clients in (1, 4):
        ours, theirs = claims.claim_and_submit(server, folder, clients)
        row = (f"{ours:,.0f}/s", f"{theirs:,.0f}/s pgbench", f"{ours / theirs:.2f}")
        yield (f"claim+submit, {clients} client(s)", *row)


def answer(server: str, _: Path) -> Rows:
    """Compare a large batch with a small one."""
    small = 0.0
    for items in (10_000, 100_000):
        milliseconds, rate = website.next_and_answer(server, items)
        small = small or milliseconds
        row = (f"{milliseconds:.1f} ms CPU, {rate:,.0f}/s", "", f"{milliseconds / small:.2f}")
        yield (f"next+answer by HTTP, {items:,} items", *row)


def decide(_server: str, _folder: Path) -> Rows:
    """Compare a large batch with a small one."""
    small = 0.0
    for answers in (10_000, 1_000_000):
        each = deciding.microseconds(answers)
        small = small or each
        yield (f"decide one item, {answers:,} answers", f"{each:.1f} µs CPU", "60 µs", f"{each / small:.2f}")


def simulate(_server: str, _folder: Path) -> Rows:
    """Compare with ten answers each; the last column is the share of answers that is left."""
    for name, found in deciding.simulated():
        ours, ten = found.adaptive, found.fixed[10]
        yield (
            f"adaptive answers, {name}",
            f"{ours.answers_per_task:.2f} each, {ours.accuracy:.3f} right",
            f"10 each, {ten.accuracy:.3f} right",
            f"{(ours.answers_per_task or 0) / 10:.2f}",
        )


def verify(server: str, folder: Path) -> Rows:
    """Compare with reading alone."""
    bundle = folder / "bundle.zip"
    size = verifying.make_bundle(server, bundle)
    ours, theirs = verifying.verify(bundle)
    yield (
        f"verify, {size.entries:,} log entries in {size.rows:,} rows, {size.bytes / 1e6:.0f} MB",
        f"{size.entries / ours.seconds:,.0f} entries/s CPU",
        f"{size.entries / theirs.seconds:,.0f}/s hash, parse, signatures",
        f"{theirs.seconds / ours.seconds:.2f}",
    )
    yield (
        "verify, peak memory",
        f"{ours.memory / 1e6:.0f} MB",
        f"{theirs.memory / 1e6:.0f} MB",
        f"{ours.memory / theirs.memory:.2f}",
    )


def page(server: str, _: Path) -> Rows:
    """Weigh the workspace."""
    code = website.code_bytes()
    allowed = website.CODE_BYTES_MAX
    yield (
        "workspace, own code",
        f"{code / 1024:.1f} KB gzip",
        f"{allowed / 1024:.0f} KB budget",
        f"{code / allowed:.2f}",
    )
    yield (
        "workspace, first visit with all it links to",
        f"{website.first_visit(server) / 1024:.1f} KB",
        "",
        "",
    )


def move(_server: str, _: Path) -> Rows:
    """Compare with PostgreSQL's COPY of the same rows, and a large file with a small one."""
    with moving.instance() as here:
        for name, step, peer, sizes in (
            ("import, {:,} items", moving.imported, moving.PEER_IMPORT, (10_000, 100_000)),
            (
                "export, {:,} answered items",
                moving.exported,
                moving.PEER_EXPORT,
                (10_000, 30_000),
            ),
        ):
            small = 0
            for items in sizes:
                found = step(here, items)
                small = small or found.memory
                ratio = f"{found.rate / found.alone:.2f}"
                ours = f"{found.rate:,.0f}/s, {found.cpu:.1f} s CPU"
                yield name.format(items), ours, f"{found.alone:,.0f}/s COPY; {peer} peer", ratio
            memory = (f"{found.memory / 1e6:.0f} MB", f"{small / 1e6:.0f} MB", f"{found.memory / small:.2f}")
            yield f"{name.split(',')[0]}, peak memory, large and small", *memory


def peers(_server: str, _: Path) -> Rows:
    """Run the peers' own driver on us; hundreds of seconds, so only when it is named."""
    if not peering.DRIVER.is_dir():
        yield "peers", "", f"no driver at {peering.DRIVER}", ""
        return
    yield from peering.table(peering.measured(peering.DRIVER))


def start(_server: str, _: Path) -> Rows:
    """Start on a directory that an earlier start has filled."""
    seconds = starting.later_start()
    yield ("page served, later start", f"{seconds:.1f} s", f"{START_AIM} s aim", f"{seconds / START_AIM:.2f}")


MEASURES: dict[str, Callable[[str, Path], Rows]] = {
    "claim": claim,
    "answer": answer,
    "move": move,
    "decide": decide,
    "simulate": simulate,
    "verify": verify,
    "page": page,
    "start": start,
}
NAMED: dict[str, Callable[[str, Path], Rows]] = {"peers": peers}
"""Measures that take long, and run only when they are named."""


if __name__ == "__main__":
    main(sys.argv[1:])
