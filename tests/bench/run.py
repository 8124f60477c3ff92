"""The figures of `make bench`: each beside a yardstick measured in the same run, because absolute seconds say little.

    claim          one claim at 1,000,000 items, and of a worker with 50,000 answers, against one at 10,000
    answer+next    CPU per answer through HTTP against pgbench running the same SQL; with the checks of the items, at
                   10,000 and at 100,000 items, against the best peer that hands work out, measured once (Potato 2.12)
    move           import and export over the API against COPY of the same rows, and the memory that they take
    verify         CPU of `fairlabel verify` against unpacking, hashing, parsing and checking signatures alone
    decide         CPU of deciding about one item without the database, in a small and in a large batch
    simulate       answers and accuracy of the adaptive rule on recorded crowds, against ten answers and majority vote
    page           bytes of the workspace's code and of a first visit, compressed
    peers          the peers' own driver on us, beside their recorded figures; only when it is named
    crowd          agreement and aggregators: speed and memory against crowd-kit and krippendorff, rightness on gold
    start          seconds until a later `fairlabel up` serves its page, against what is aimed at

BENCH_SECONDS says how long each rate is measured, BENCH_ENTRIES how many entries the verified log has at least; names
as arguments choose measures: `python tests/bench/run.py verify page`. Answers are measured on a server that waits for
the disk, all else on one that does not, so that the ratio shows our own work.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import answering, claims, crowd, deciding, moving, peering, starting, verifying, website
from rich.console import Console
from rich.table import Table

from annotate.stack.postgres import throw_away_cluster

START_AIM = 6
"""Seconds."""
POTATO = {10_000: 92, 100_000: 507}
"""CPU milliseconds per submission with 8 workers, by items."""
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


def claim(server: str, _: Path) -> Rows:
    """Compare a large batch, and a worker who has answered much of it, with a small one."""
    times = claims.claim_times(server)
    small = next(iter(times.values()))
    for name, each in times.items():
        yield f"claim, {name}", f"{each:.2f} ms", "", f"{each / small:.2f}"


def answer(_: str, folder: Path) -> Rows:
    """Compare with pgbench on a server that waits for the disk; then all programs, with the looks at items."""
    with throw_away_cluster(durable=True) as server:
        ours = answering.over_http(server, 10_000, 16, checked=False)
        theirs = answering.by_pgbench(server, folder, 10_000, 16)
        row = (_told(ours), _told(theirs), f"{theirs.cpu / ours.cpu:.2f}")
        yield ("answer+next by HTTP, 16 clients, CPU", *row)
        row = (f"p50 {ours.p50:.0f} ms, p99 {ours.p99:.0f} ms", "", f"{ours.p99 / ours.p50:.1f}")
        yield ("answer+next by HTTP, 16 clients, slowest", *row)
        for items, peer in POTATO.items():
            ours = answering.over_http(server, items, 8, checked=True)
            row = (_told(ours), f"{peer} ms Potato", f"1/{peer / ours.cpu:.0f}")
            yield (f"answer+next with the item's check, {items:,} items", *row)


def _told(cost: answering.Cost) -> str:
    parts = ", ".join(f"{name} {each:.2f}" for name, each in cost.parts.items())
    return f"{cost.cpu:.2f} ms ({parts}), {cost.rate:,.0f}/s"


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


def crowds(_server: str, _: Path) -> Rows:
    """Compare the arithmetic of answers with the peers, and with gold."""
    yield from crowd.rightness()
    yield from crowd.equality()
    yield from crowd.speed()


MEASURES: dict[str, Callable[[str, Path], Rows]] = {
    "claim": claim,
    "answer": answer,
    "move": move,
    "decide": decide,
    "simulate": simulate,
    "verify": verify,
    "page": page,
    "crowd": crowds,
    "start": start,
}
NAMED: dict[str, Callable[[str, Path], Rows]] = {"peers": peers}
"""Measures that take long, and run only when they are named."""


if __name__ == "__main__":
    main(sys.argv[1:])
