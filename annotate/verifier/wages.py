"""Every due line, computed again from the evidence and compared exactly; and the payslips over the lines.

A line that pays too little, too much, rests on nothing or is missing is named with its place, and what is missing
to a worker is added up by currency. A week that was corrected is computed as often as it was booked, each time with
what was known then and less what had been booked.
"""

from collections import Counter
from fractions import Fraction

from .facts import Facts, Placed, Row, Worker, workers
from .floors import Unresolved, micros
from .reading import Bundle
from .seconds import KINDS, Sign
from .weeks import settle, still_due


class Wages:
    """Settles every worker again; keeps of each booked line what the ledger must say."""

    def __init__(self, bundle: Bundle, facts: Facts) -> None:
        """Begin the checks."""
        self.bundle = bundle
        self.facts = facts
        self.booked: dict[int, Placed] = {}
        self.totals: dict[str, dict[str, int]] = {}
        self.owed: dict[str, int] = {}
        report = bundle.report
        self.evidence = report.check("the evidence is whole: each ended assignment has its earning and price")
        self.lines = report.check("every due line follows from the evidence and the rules")
        self.traces = report.check("every trace names the rules that were considered")
        self.paid = report.check("everyone everywhere is due at least the agreed pay and the floor")
        self.slips = report.check("every payslip is the sum of its lines")

    def run(self) -> None:
        """Settle all workers."""
        for worker in workers(self.bundle):
            self._evidence(worker)
            signs = self._signs(worker)
            for place, row in worker.rows["due_lines"]:
                if row["period"] not in self.facts.periods or self.facts.week(row) is None:
                    self.lines.fail(place, f"the period {row['period']} or the week is not in the bundle")
            for week in self.facts.periods.values():
                self._week(worker, week, signs)
            self._payslips(worker)

    def _signs(self, worker: Worker) -> list[Sign]:
        signs = []
        for place, row in worker.rows["events"]:
            if row["kind"] not in KINDS:
                self.evidence.fail(place, f"unknown kind {row['kind']!r}")
                continue
            at = micros(row["at"])
            signs.append(Sign(at, row["id"], row["sequence"], row["kind"], row["unit"], row.get("batch")))
        return signs

    def _evidence(self, worker: Worker) -> None:
        ended = {row["id"]: (place, row) for place, row in worker.rows["assignments"]}
        earned = {row["assignment"] for row in worker.of("earnings")}
        if len(earned) != len(worker.rows["earnings"]):
            self.evidence.fail(worker.place, "an assignment has two earnings")
        for place, row in ended.values():
            self.evidence.counted += 1
            if row["state"] != "leased" and row["id"] not in earned and self._in_scope(row.get("ended_at")):
                self.evidence.fail(place, "the assignment has ended and has no earning")
        for place, row in worker.rows["earnings"]:
            self.evidence.counted += 1
            self._price(place, row, ended.get(row["assignment"], ("", {}))[1])

    def _in_scope(self, at: str | None) -> bool:
        return at is not None and any(
            one["starts_at"] <= at < one["ends_at"] for one in self.facts.covered.values()
        )

    def _price(self, place: str, row: Row, assignment: Row) -> None:
        terms = self.facts.terms(row["batch"])
        if terms is None or assignment.get("batch") != row["batch"]:
            self.evidence.fail(place, "the assignment or the terms of its batch are not in the bundle")
            return
        if assignment["state"] == "submitted" and row["kind"] != "submitted":
            self.evidence.fail(place, "the answer was submitted, and is not earned as that")
        pay = max(
            (one for one in self.facts.pay(row["batch"]) if one["at"] <= micros(row["at"])),
            key=lambda one: one["revision"],
            default=self.facts.pay(row["batch"])[0],
        )
        agreed = pay.get("piece_price", "0") if row["kind"] == "submitted" else "0"
        if Fraction(row["price"]) != Fraction(agreed) or row["currency"] != terms["currency"]:
            self.evidence.fail(place, f"the price is {row['price']} {row['currency']}, agreed is {agreed}")

    def _week(self, worker: Worker, week: Row, signs: list[Sign]) -> None:
        """Compute a week as often as it was booked: by its own period, and by each that corrects it."""
        about = [one for one in worker.rows["due_lines"] if self.facts.week(one[1]) is week]
        if not about and week["code"] not in self.facts.covered:
            return
        closes: dict[str, list[Placed]] = {week["code"]: []}
        for one in sorted(about, key=lambda placed: placed[1]["made_at"]):
            closes.setdefault(one[1]["period"], []).append(one)
        booked: list[Row] = []
        for code, placed in closes.items():
            period = self.facts.periods.get(code)
            if period is not None:
                self._booking(worker, week, period, signs, placed, booked)
            booked += [row for _, row in placed]
        if week["code"] in self.facts.covered:
            self._owed(worker, week, signs, booked)

    def _owed(self, worker: Worker, week: Row, signs: list[Sign], booked: list[Row]) -> None:
        """Add up what became known since a week was booked; the next close pays it."""
        try:
            segments = settle(self.facts, worker, signs, week, micros(self.bundle.manifest["made_at"]))
        except UNCOMPUTABLE:
            return
        for one, before, _ in still_due(segments, booked):
            currency = one.stretch.floor.currency
            self.owed[currency] = self.owed.get(currency, 0) + one.whole["due"] - before["due"]

    def _booking(
        self,
        worker: Worker,
        week: Row,
        period: Row,
        signs: list[Sign],
        placed: list[Placed],
        booked: list[Row],
    ) -> None:
        """Compare all lines with which one period booked a week."""
        stored: dict[tuple[str | None, str], Placed] = {}
        for place, row in placed:
            subject = (row.get("batch"), row["segment_start"])
            if subject in stored:
                self.lines.fail(place, f"stands twice, also as {stored[subject][0]}")
            stored.setdefault(subject, (place, row))
        known = max((micros(row["made_at"]) for _, row in placed), default=period["closed"])
        try:
            segments = settle(self.facts, worker, signs, week, known)
            if period is week:
                wanted = [one.line(period, Counter(), None) for one in segments]
            else:
                wanted = [one.line(period, before, of) for one, before, of in still_due(segments, booked)]
        except UNCOMPUTABLE as error:
            self.lines.fail(worker.place, f"{week['code']} cannot be computed: {error}")
            wanted = []
        for line in wanted:
            found = stored.pop((line.get("batch"), line["segment_start"]), None)
            if found is not None:
                self._compare(*found, line)
                continue
            self.lines.counted += 1
            words = (
                f"{line['due']} minor units of {line['currency']} for {line['seconds']} s have no due line"
            )
            self.lines.fail(f"{worker.place} ({week['code']}, {line.get('batch', 'overhead')})", words)
            self.bundle.report.shortfall[worker.id, line["currency"]] += line["due"]
        for place, row in stored.values():
            self.lines.counted += 1
            self.lines.fail(place, "the line rests on no evidence")
            self._keep(place, row)

    def _compare(self, place: str, row: Row, line: Row) -> None:
        self.lines.counted += 1
        for name in COMPARED:
            if row.get(name) != line.get(name):
                self.lines.fail(place, f"{name} is {row.get(name)}, recomputed {line.get(name)}")
        if row["fee"] > line["fee_max"]:
            self.lines.fail(place, f"the fee is {row['fee']}, at most {line['fee_max']}")
        self.traces.counted += 1
        if [_told(one) for one in row["trace"]] != line["trace"]:
            self.traces.fail(place, "the trace differs from what was known")
        self.paid.counted += 1
        least = max(line["agreed"], line["required"])
        if row["currency"] != line["currency"] or row["due"] < least:
            self.paid.fail(place, f"due {row['due']} {row['currency']}, at least {least} {line['currency']}")
            short = least - row["due"] if row["currency"] == line["currency"] else least
            self.bundle.report.shortfall[row["worker"], line["currency"]] += short
        self._keep(place, row)

    def _keep(self, place: str, row: Row) -> None:
        total = self.totals.setdefault(row["currency"], dict.fromkeys(SUMMED, 0))
        for name in SUMMED:
            total[name] += row[name]
        if "journal" in row:
            if row["journal"] in self.booked:
                self.lines.fail(place, f"journal {row['journal']} is claimed by two lines")
            self.booked[row["journal"]] = (place, row)
        elif row["due"]:
            self.lines.fail(place, f"{row['due']} is due and not booked")

    def _payslips(self, worker: Worker) -> None:
        wanted: dict[tuple[str, str], tuple[int, set[str]]] = {}
        for row in worker.of("due_lines"):
            if row["period"] not in self.facts.covered:
                continue
            total, lines = wanted.get((row["period"], row["currency"]), (0, set()))
            wanted[row["period"], row["currency"]] = (total + row["due"], lines | {row["id"]})
        for place, row in worker.rows["payslips"]:
            total, lines = wanted.pop((row["period"], row["currency"]), (0, set()))
            self.slips.expect(place, "the total", row["total"], total)
            if set(row["lines"]) != lines or len(row["lines"]) != len(lines):
                self.slips.fail(place, "its lines are not the due lines")
        for period, currency in wanted:
            self.slips.counted += 1
            self.slips.fail(worker.place, f"no payslip for {period} in {currency}")


UNCOMPUTABLE = (Unresolved, KeyError, ValueError, ArithmeticError)
COMPARED = (
    *("id", "segment_end", "place", "area", "currency", "seconds", "seconds_by", "agreed", "required", "due"),
    *("topup", "rate", "rule", "rule_sha256", "fx_rate", "fx_through", "fx", "charge", "charge_currency"),
    *("answers", "evidence", "corrects"),
)
SUMMED = ("agreed", "required", "due", "topup")
TOLD = (
    *("rule", "sha256", "kind", "status", "applied", "hourly", "currency", "compared"),
    "compared_currency",
)


def _told(entry: Row) -> Row:
    if entry["kind"] == "sensitive_multiplier":
        return entry
    return {name: entry[name] for name in TOLD if name in entry}
