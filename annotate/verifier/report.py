"""What a verification found: named checks, each with the places that break it, and one exit code for all.

0: everything holds. 1: something computed differs. 2: the bundle cannot be read. 3: a signature or the consistency
of the log is wrong or could not be checked. An unreadable bundle goes first, then signatures, then differences.
"""

from collections import defaultdict
from dataclasses import dataclass, field

DIFFERENCE, UNREADABLE, SIGNATURE = 1, 2, 3
SHOWN = 20


class Unreadable(Exception):
    """The bundle cannot be read; carries the place and the words."""

    def __init__(self, place: str, words: str) -> None:
        """Take where and what."""
        self.place = place
        self.words = words
        super().__init__(f"{place}: {words}")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where."""

    place: str
    words: str


@dataclass
class Check:
    """One thing that must hold; `counted` things were looked at."""

    name: str
    code: int
    counted: int = 0
    failures: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.failures

    def fail(self, place: str, words: str) -> None:
        """Note what breaks it; the first few are kept."""
        self.failures += 1
        if len(self.findings) < SHOWN:
            self.findings.append(Finding(place, words))

    def expect(self, place: str, what: str, found: object, wanted: object) -> bool:
        """Count one comparison, and note it if it fails."""
        self.counted += 1
        if found != wanted:
            self.fail(place, f"{what} is {found}, recomputed {wanted}")
        return found == wanted


class Report:
    """All checks of one verification, in the order in which they began."""

    def __init__(self) -> None:
        """Start empty."""
        self.checks: dict[str, Check] = {}
        self.notes: list[str] = []
        self.facts: dict[str, str | int] = {}
        self.shortfall: dict[tuple[str, str], int] = defaultdict(int)

    def check(self, name: str, code: int = DIFFERENCE) -> Check:
        """Begin a check, or go on with it."""
        return self.checks.setdefault(name, Check(name, code))

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        codes = {check.code for check in self.checks.values() if not check.ok}
        return next((code for code in (UNREADABLE, SIGNATURE, DIFFERENCE) if code in codes), 0)

    def document(self) -> dict[str, object]:
        """Give everything as one JSON-able document."""
        return {
            "ok": self.exit_code == 0,
            "exit_code": self.exit_code,
            "bundle": self.facts,
            "checks": [
                {
                    "name": check.name,
                    "ok": check.ok,
                    "counted": check.counted,
                    "failures": check.failures,
                    "findings": [{"place": one.place, "words": one.words} for one in check.findings],
                }
                for check in self.checks.values()
            ],
            "shortfall": [
                {"worker": worker, "currency": currency, "minor_units": amount}
                for (worker, currency), amount in sorted(self.shortfall.items())
            ],
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """Give everything as lines for people."""
        said = [f"{name}: {value}" for name, value in self.facts.items()]
        for check in self.checks.values():
            said.append(f"{'ok  ' if check.ok else 'FAIL'}  {check.name} ({check.counted})")
            said += [f"      {one.place}: {one.words}" for one in check.findings]
            if check.failures > len(check.findings):
                said.append(f"      and {check.failures - len(check.findings)} more")
        for (worker, currency), amount in sorted(self.shortfall.items()):
            said.append(f"short {worker}: {amount} minor units of {currency}")
        said += [f"note  {note}" for note in self.notes]
        verdict = ("Everything holds.", "Something differs.", "The bundle cannot be read.")
        return [*said, (*verdict, "A signature is not right or was not checked.")[self.exit_code]]
