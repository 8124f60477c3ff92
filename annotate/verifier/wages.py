"""Every due line, computed again from the evidence and compared exactly; and the payslips over the lines.

A line that pays too little, too much, rests on nothing or is missing is named with its place, and what is missing
to a worker is added up by currency.
"""

from collections.abc import Iterator
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from uuid import UUID, uuid5

from .facts import Facts, Placed, Row, Worker, canonical, workers
from .floors import Book, Floor, Unresolved, ceil, micros, minor, moment
from .reading import Bundle
from .seconds import KINDS, SECOND, Sign, Span, bearing, credited, cut, spans_of


class Wages:
    """Settles every worker again; keeps of each booked line what the ledger must say."""

    def __init__(self, bundle: Bundle, facts: Facts) -> None:
        """Begin the checks."""
        self.bundle = bundle
        self.facts = facts
        self.booked: dict[int, Placed] = {}
        self.totals: dict[str, dict[str, int]] = {}
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
            for period in self.facts.periods.values():
                self._period(worker, period, signs)
            self._payslips(worker)
            for _, row in worker.rows["due_lines"]:
                if row["period"] not in self.facts.periods:
                    self.lines.fail(_, f"the period {row['period']} is not in the bundle")

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
            one["starts_at"] <= at < one["ends_at"] for one in self.facts.periods.values()
        )

    def _price(self, place: str, row: Row, assignment: Row) -> None:
        terms = self.facts.terms(row["batch"])
        if terms is None or assignment.get("batch") != row["batch"]:
            self.evidence.fail(place, "the assignment or the terms of its batch are not in the bundle")
            return
        if assignment["state"] == "submitted" and row["kind"] != "submitted":
            self.evidence.fail(place, "the answer was submitted, and is not earned as that")
        agreed = Fraction(terms.get("piece_price", "0")) if row["kind"] == "submitted" else Fraction(0)
        price = Fraction(row["price"])
        # Pay may have been raised since; it is never lowered.
        raised = terms["revision"] > 1 and 0 < price < agreed
        if (price != agreed and not raised) or row["currency"] != terms["currency"]:
            self.evidence.fail(place, f"the price is {row['price']} {row['currency']}, agreed is {agreed}")

    def _period(self, worker: Worker, period: Row, signs: list[Sign]) -> None:
        stored: dict[tuple[str | None, str], Placed] = {}
        for place, row in worker.rows["due_lines"]:
            if row["period"] == period["code"]:
                subject = (row.get("batch"), row["segment_start"])
                if subject in stored:
                    self.lines.fail(place, f"stands twice, also as {stored[subject][0]}")
                stored.setdefault(subject, (place, row))
        known = max((micros(row["made_at"]) for _, row in stored.values()), default=period["closed"])
        try:
            wanted = list(self._settle(worker, period, signs, known))
        except (Unresolved, KeyError, ValueError, ArithmeticError) as error:
            self.lines.fail(worker.place, f"{period['code']} cannot be computed: {error}")
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
            self.lines.fail(f"{worker.place} ({period['code']}, {line.get('batch', 'overhead')})", words)
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

    def _settle(self, worker: Worker, period: Row, signs: list[Sign], known: int) -> Iterator[Row]:
        """Compute the lines of one worker and period, as known when they were made."""
        start, end = period["start"], period["end"]
        told = worker.places.get(period["code"], {})
        place, area = told.get("place"), told.get("area")
        book = self.facts.book(known, period)
        edges = [start, *book.edges(place, start, end), end]
        shares = self._shares(worker, signs, edges, known)
        earned = [row for row in worker.of("earnings") if start <= micros(row["at"]) < end]
        bearers = {_bearer(share) for share in shares} | {row["batch"] for row in earned}
        for batch in sorted(bearers, key=lambda one: (one is None, one or "")):
            for since, until, floor in self._segments(book, place, area, edges, batch):
                inside = [s for s in shares if _bearer(s) == batch and since <= s.start * SECOND < until]
                paid = [r for r in earned if r["batch"] == batch and since <= micros(r["at"]) < until]
                if inside or any(Fraction(row["price"]) for row in paid):
                    told = {"place": place, "area": area}
                    line = self._line(book, period, worker.id, batch, floor, (since, until), inside, paid)
                    yield {name: value for name, value in {**line, **told}.items() if value is not None}

    def _shares(self, worker: Worker, signs: list[Sign], edges: list[int], known: int) -> list[Span]:
        start, end = edges[0], edges[-1]
        declared = [
            Span(
                micros(row["start_at"]) // SECOND,
                -(-micros(row["end_at"]) // SECOND),
                f"declared:{row['id']}",
                row.get("batch"),
                row["category"],
            )
            for row in worker.of("declarations")
            if row["state"] == "accepted"
            and micros(row["decided_at"]) <= known
            and micros(row["start_at"]) < end
            and micros(row["end_at"]) > start
        ]
        spans = spans_of(bearing(signs, start, end, known), self.facts.grace)
        return cut(credited(spans, declared), [edge // SECOND for edge in edges])

    def _segments(
        self, book: Book, place: str | None, area: str | None, edges: list[int], batch: str | None
    ) -> list[tuple[int, int, Floor]]:
        """Resolve the floor from each edge on; the line goes on where the same rule and rate go on."""
        promise = _promise(batch, self.facts.terms(batch))
        joined: list[tuple[int, int, Floor]] = []
        for since, until in pairwise(edges):
            floor = book.floor(place, area, since, promise)
            if joined and _same(joined[-1][2], floor):
                joined[-1] = (joined[-1][0], until, joined[-1][2])
            else:
                joined.append((since, until, floor))
        return joined

    def _line(
        self,
        book: Book,
        period: Row,
        worker: str,
        batch: str | None,
        floor: Floor,
        span: tuple[int, int],
        inside: list[Span],
        earned: list[Row],
    ) -> Row:
        terms = self.facts.terms(batch)
        theirs = terms["currency"] if terms else floor.currency
        multiplier = Fraction(terms["sensitive_multiplier"]) if terms else Fraction(1)
        rate = floor.rate * multiplier
        price = sum((minor(row["price"], row["currency"]) for row in earned), Fraction(0))
        seconds = sum(share.end - share.start for share in inside)
        agreed = ceil(book.convert(price, theirs, floor.currency)) if terms else 0
        required = ceil(Fraction(seconds, 3600) * rate)
        due = max(agreed, required)
        fx = book.rate(theirs, floor.currency)
        charge = due
        if theirs != floor.currency:
            charge = ceil(due / book.convert(Fraction(1), theirs, floor.currency))
        by = {share.category for share in inside}
        since = moment(span[0])
        raised = [] if multiplier == 1 else [_raised(floor, multiplier, rate)]
        return {
            "id": str(uuid5(UUID(period["id"]), f"{worker}:{batch or 'overhead'}:{since.isoformat()}")),
            "batch": batch,
            "segment_start": _time(span[0]),
            "segment_end": _time(span[1]),
            "currency": floor.currency,
            "seconds": seconds,
            "seconds_by": {c: sum(s.end - s.start for s in inside if s.category == c) for c in by},
            "agreed": agreed,
            "required": required,
            "due": due,
            "topup": due - agreed,
            "rate": f"{rate.numerator}/{rate.denominator}",
            "rule": floor.rule,
            "rule_sha256": floor.sha256,
            "fx_rate": fx.first,
            "fx_through": fx.second,
            "fx": None if theirs == floor.currency else f"{fx.value.numerator}/{fx.value.denominator}",
            "charge": charge,
            "charge_currency": theirs,
            "fee_max": charge * Fraction(terms["fee_percent"]) // 100 if terms else 0,
            "answers": sum(row["kind"] == "submitted" for row in earned),
            "evidence": evidence(inside, earned),
            "trace": [*floor.considered, *raised],
        }

    def _payslips(self, worker: Worker) -> None:
        wanted: dict[tuple[str, str], tuple[int, set[str]]] = {}
        for row in worker.of("due_lines"):
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


COMPARED = (
    *("id", "segment_end", "place", "area", "currency", "seconds", "seconds_by", "agreed", "required", "due"),
    *("topup", "rate", "rule", "rule_sha256", "fx_rate", "fx_through", "fx", "charge", "charge_currency"),
    *("answers", "evidence"),
)
SUMMED = ("agreed", "required", "due", "topup")
TOLD = (
    *("rule", "sha256", "kind", "status", "applied", "hourly", "currency", "compared"),
    "compared_currency",
)


def evidence(shares: list[Span], earned: list[Row]) -> str:
    """Hash what a line rests on."""
    rests_on = {
        "shares": [[share.start, share.end, share.unit, share.category] for share in shares],
        "earnings": sorted(row["id"] for row in earned if row["kind"] == "submitted"),
    }
    return sha256(canonical(rests_on)).hexdigest()


def _bearer(share: Span) -> str | None:
    return share.batch if share.category != "overhead" else None


def _same(one: Floor, other: Floor) -> bool:
    return (one.rate, one.currency, one.rule, one.sha256) == (
        other.rate,
        other.currency,
        other.rule,
        other.sha256,
    )


def _time(at: int) -> str:
    return moment(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _told(entry: Row) -> Row:
    if entry["kind"] == "sensitive_multiplier":
        return {name: value for name, value in entry.items() if name != "note"}
    return {name: entry[name] for name in TOLD if name in entry}


def _raised(floor: Floor, multiplier: Fraction, rate: Fraction) -> Row:
    return {
        "rule": floor.rule,
        "kind": "sensitive_multiplier",
        "multiplier": str(multiplier),
        "applied": "yes",
        "compared": str(rate),
        "compared_currency": floor.currency,
    }


def _promise(batch: str | None, terms: Row | None) -> Row | None:
    """Give the requester's hourly promise as the rule document that it stands for."""
    if terms is None or "hourly_rate" not in terms:
        return None
    day = terms["created_at"][:10]
    return {
        "id": f"promise.{batch}",
        "version": terms["revision"],
        "kind": "requester_promise",
        "status": "in_force",
        "jurisdiction": None,
        "area": None,
        "currency": terms["currency"],
        "rates": [{"per": "hour", "amount": terms["hourly_rate"]}],
        "authoritative_unit": "hour",
        "hours_basis": None,
        "effective_from": day,
        "effective_to": None,
        "time_zone": "UTC",
        "source": {"title": "Pay terms of the batch"},
        "supersedes": None,
        "confidence": "A",
        "review_by": day,
    }
