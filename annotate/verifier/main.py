"""The verifier's command line: `python verify.py bundle.zip`, the same as `fairlabel verify bundle.zip`."""

import argparse
import json
import sys
from pathlib import Path
from typing import IO

from .facts import read_facts
from .ledger import Ledger
from .log import check_log, check_signatures
from .reading import Bundle, Progress
from .report import DIFFERENCE, UNREADABLE, Report, Unreadable
from .wages import Wages


def verify(
    path: Path | IO[bytes],
    key: str | None = None,
    old: list[tuple[str, str]] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify a bundle. `key` pins the instance's key, `old` are (name, text) of heads kept from earlier."""
    report = Report()
    readable = report.check("the bundle can be read", UNREADABLE)
    try:
        with Bundle(path, report, progress) as bundle:
            readable.counted = len(bundle.files)
            _verify(bundle, report, key, old or [])
    except Unreadable as error:
        readable.fail(error.place, error.words)
        report.notes.append("what comes after that place was not checked")
    return report


def _verify(bundle: Bundle, report: Report, key: str | None, old: list[tuple[str, str]]) -> None:
    manifest = bundle.manifest
    report.facts["instance"] = manifest["origin"]
    report.facts["made at"] = manifest["made_at"]
    report.facts["periods"] = ", ".join(manifest["periods"])
    head = check_signatures(bundle, key)
    bundle.check_hashes()
    facts = read_facts(bundle)
    scope = report.check("the bundle covers what it says", DIFFERENCE)
    scope.expect("periods.jsonl", "the periods", list(facts.covered), manifest["periods"])
    wages = Wages(bundle, facts)
    wages.run()
    totals = {
        one["currency"]: {n: v for n, v in one.items() if n != "currency"} for one in manifest["totals"]
    }
    scope.expect("manifest.json", "the totals", totals, wages.totals)
    ledger = Ledger(bundle, wages.booked, set(facts.covered))
    ledger.run()
    files = {row["run"]: row["file_sha256"] for _, row in ledger.payouts.values() if "file_sha256" in row}
    check_log(bundle, head, ledger.commitments, files, old)
    report.facts["due lines"] = wages.lines.counted
    report.facts["journals"] = ledger.whole.counted
    for currency, amount in sorted(wages.owed.items()):
        words = "were accepted after the last close; the next one pays them"
        report.notes.append(f"{amount} minor units of {currency} {words}")
    if ledger.others:
        note = f"{ledger.others} wages of other periods are in the ledger; their evidence is in other bundles"
        report.notes.append(note)


def main(argv: list[str] | None = None) -> int:
    """Run the command and give its exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--key", help="the instance's public key, or a file that holds it")
    parser.add_argument("--old-checkpoint", action="append", default=[], type=Path, metavar="FILE")
    given = parser.parse_args(argv)
    try:
        key = key_named(given.key)
        old = [(str(path), path.read_text(encoding="utf-8")) for path in given.old_checkpoint]
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201  a program's own output
        return UNREADABLE
    report = verify(given.bundle, key, old)
    said = [json.dumps(report.document(), indent=2)] if given.json else report.lines()
    print("\n".join(said))  # noqa: T201
    return report.exit_code


def key_named(given: str | None) -> str | None:
    """Give a key, or the one that a file holds."""
    if given is None or "+" in given:
        return given
    return Path(given).read_text(encoding="utf-8").strip()
