"""What an audit bundle says of people: which workers and which facts of theirs belong to some periods, as rows.

The chosen periods count for everybody in them. The earlier weeks that they correct count for the workers to whom they
are corrected. Of all these weeks the bundle holds everything that was booked for them in any closed period, so that
corrections can be computed again, and what is owed still can be told.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, true, union
from sqlalchemy.orm import Session, aliased

from annotate import audit_rows
from annotate.audit_rows import Row
from payments import payroll
from payments.due_lines import DueLine
from payments.earnings import Earning
from payments.paid_time import OPENING
from payments.payslips import Payslip
from payments.periods import PayPeriod, PeriodState
from payments.proofs import MARGIN, Proof
from payments.terms import PayTerms, agreed_pay
from payments.worktime import Declaration
from tasks.assignments import Assignment
from tasks.batches import Batch
from tasks.people import Person, work_places
from tasks.projects import Project

WORKERS_AT_ONCE: Final = 50
SUMMED: Final = ("agreed", "required", "due", "topup")

T = TypeVar("T")


class Scope:
    """The facts of people in the chosen periods and in the weeks that these correct, in the order of workers."""

    def __init__(self, session: Session, periods: Sequence[PayPeriod]) -> None:
        self.session = session
        self.periods = periods
        self.codes = {one.id: one.code for one in payroll.periods(session)}
        self._chosen = [one.id for one in periods]
        self._totals: dict[str, dict[str, int]] = {}
        self.corrected = self._corrected()
        found = {who for one in periods for who in payroll.workers_to_close(session, one)}
        found |= set(session.scalars(select(DueLine.worker_id).where(DueLine.period_id.in_(self._chosen))))
        ended = _during(Assignment.ended_at, periods)
        found |= set(session.scalars(select(Assignment.worker_id).where(ended)))
        self.ids = sorted(found)

    def _corrected(self) -> dict[UUID, list[PayPeriod]]:
        """Give for each worker the weeks that the chosen periods correct."""
        week = aliased(PayPeriod)
        rows = self.session.execute(
            select(DueLine.worker_id, week)
            .join(PayPeriod, PayPeriod.id == DueLine.period_id)
            .join(week, and_(week.starts_at <= DueLine.segment_start, DueLine.segment_start < week.ends_at))
            .where(DueLine.period_id.in_(self._chosen), DueLine.segment_start < PayPeriod.starts_at)
            .distinct()
            .order_by(DueLine.worker_id, week.starts_at)
        )
        found: dict[UUID, list[PayPeriod]] = {}
        for worker_id, one in rows:
            found.setdefault(worker_id, []).append(one)
        return found

    @property
    def named(self) -> list[PayPeriod]:
        """All periods that a line in the bundle names, by its period or by its week, in order."""
        weeks = {one.id for every in self.corrected.values() for one in every}
        also = select(DueLine.period_id).where(self._booked(self.corrected)).distinct()
        wanted = {*self._chosen, *weeks, *self.session.scalars(also)}
        every = self.session.scalars(select(PayPeriod).order_by(PayPeriod.starts_at))
        return [one for one in every if one.id in wanted]

    def workers(self) -> Iterator[Row]:
        """Give where each worker has worked since when."""
        for part in parts(self.ids, WORKERS_AT_ONCE):
            for one in self.session.scalars(select(Person).where(Person.id.in_(part)).order_by(Person.id)):
                yield audit_rows.worker(one, work_places(self.session, one.id))
            self.session.expunge_all()

    def batches(self) -> Iterator[Row]:
        """Give the batches that these workers have ever been at."""
        columns = (
            (Proof.batch_id, Proof.worker_id),
            (DueLine.batch_id, DueLine.worker_id),
            (Assignment.batch_id, Assignment.worker_id),
            (Declaration.batch_id, Declaration.worker_id),
        )
        seen = union(*(select(batch).where(who.in_(self.ids)) for batch, who in columns)).subquery()
        theirs = select(seen.c[0])
        terms = self.session.scalars(select(PayTerms).where(PayTerms.batch_id.in_(theirs))).all()
        known, pay = {one.batch_id: one for one in terms}, agreed_pay(self.session, terms)
        rows = self.session.execute(
            select(Batch, Project.requester_id)
            .join(Project, Project.id == Batch.project_id)
            .where(Batch.id.in_(theirs))
            .order_by(Batch.id)
        )
        for batch, requester in rows:
            yield audit_rows.batch(batch, known.get(batch.id), pay.get(batch.id, []), requester)

    def assignments(self) -> Iterator[Row]:
        """Give the assignments that ended in the periods or have an earning in them."""

        def own(part: list[UUID]) -> ColumnElement[bool]:
            earned = select(Earning.assignment_id).where(Earning.worker_id.in_(part))
            earned = earned.where(self._within(part, Earning.worker_id, Earning.at))
            ended = self._within(part, Assignment.worker_id, Assignment.ended_at)
            return or_(ended, Assignment.id.in_(earned))

        for one in self._each(Assignment, own, Assignment.claimed_at, Assignment.id):
            yield audit_rows.assignment(one)

    def earnings(self) -> Iterator[Row]:
        """Give the earnings of these assignments."""

        def own(part: list[UUID]) -> ColumnElement[bool]:
            ended = select(Assignment.id).where(Assignment.worker_id.in_(part))
            ended = ended.where(self._within(part, Assignment.worker_id, Assignment.ended_at))
            return or_(self._within(part, Earning.worker_id, Earning.at), Earning.assignment_id.in_(ended))

        for one in self._each(Earning, own, Earning.at, Earning.id):
            yield audit_rows.earning(one)

    def declarations(self) -> Iterator[Row]:
        """Give the declarations that touch the periods; who decided is said as rule, silence or person."""

        def own(part: list[UUID]) -> ColumnElement[bool]:
            return or_(
                *(
                    and_(whose, Declaration.start_at < one.ends_at, Declaration.end_at > one.starts_at)
                    for whose, one in self._spans(part, Declaration.worker_id)
                )
            )

        for one in self._each(Declaration, own, Declaration.start_at, Declaration.id):
            yield audit_rows.declaration(one)

    def events(self) -> Iterator[Row]:
        """Give the signs of work around the periods, and back to the opening of what was open then."""
        for part in parts(self.ids, WORKERS_AT_ONCE):
            around = or_(
                *(
                    and_(whose, Proof.at.between(one.starts_at - MARGIN, one.ends_at + MARGIN))
                    for whose, one in self._spans(part, Proof.worker_id)
                )
            )
            query = select(Proof).where(Proof.worker_id.in_(part), around)
            found = {one.id: one for one in self.session.scalars(query.order_by(Proof.at, Proof.id))}
            for begun in self._begun(list(found.values())):
                found |= {one.id: one for one in self.session.scalars(select(Proof).where(*begun))}
            for one in sorted(found.values(), key=lambda proof: (proof.worker_id, proof.at, proof.id)):
                yield audit_rows.event(one)
            self.session.expunge_all()

    def _begun(self, proofs: Sequence[Proof]) -> Iterator[tuple[ColumnElement[bool], ...]]:
        """Name the units that were open before a period's evidence begins."""
        first: dict[tuple[PayPeriod, UUID, str], Proof] = {}
        for one in proofs:
            for period in (*self.periods, *self.corrected.get(one.worker_id, ())):
                if period.starts_at - MARGIN <= one.at <= period.ends_at + MARGIN:
                    first.setdefault((period, one.worker_id, one.unit), one)
        for (period, worker, unit), one in first.items():
            if one.kind not in OPENING:
                yield Proof.worker_id == worker, Proof.unit == unit, Proof.at < period.starts_at - MARGIN

    def due_lines(self) -> Iterator[Row]:
        """Give all that was booked by the periods and for the weeks in scope, and add it up."""
        for one in self._each(DueLine, self._booked, DueLine.segment_start, DueLine.batch_id, DueLine.id):
            total = self._totals.setdefault(one.currency, dict.fromkeys(SUMMED, 0))
            for name in SUMMED:
                total[name] += getattr(one, name)
            yield audit_rows.due_line(one, self.codes[one.period_id])

    def payslips(self) -> Iterator[Row]:
        """Give the payslips: their figures and the hash of what the worker holds, which names them."""

        def own(_: list[UUID]) -> ColumnElement[bool]:
            return Payslip.period_id.in_(self._chosen)

        for one in self._each(Payslip, own, Payslip.period_id, Payslip.currency):
            yield audit_rows.payslip(one, self.codes[one.period_id])

    def totals(self) -> list[Row]:
        """Give the sums of the due lines written."""
        return [{"currency": currency, **sums} for currency, sums in sorted(self._totals.items())]

    def _spans(self, part: Iterable[UUID], whose: Any) -> Iterator[tuple[ColumnElement[bool], PayPeriod]]:
        """Give the periods that count for some workers: the chosen ones for all, corrected weeks for their own."""
        for one in self.periods:
            yield true(), one
        for worker_id in part:
            for one in self.corrected.get(worker_id, ()):
                yield whose == worker_id, one

    def _within(self, part: Iterable[UUID], whose: Any, column: Any) -> ColumnElement[bool]:
        return or_(*(and_(who, _during(column, [one])) for who, one in self._spans(part, whose)))

    def _booked(self, part: Iterable[UUID]) -> ColumnElement[bool]:
        """Name the lines of closed periods that are of a chosen period or of a week in scope."""
        about = self._within(part, DueLine.worker_id, DueLine.segment_start)
        closed = select(PayPeriod.id).where(PayPeriod.state == PeriodState.CLOSED)
        return and_(DueLine.period_id.in_(closed), or_(DueLine.period_id.in_(self._chosen), about))

    def _each(
        self, table: type[T], own: Callable[[list[UUID]], ColumnElement[bool]], *order: Any
    ) -> Iterator[T]:
        """Read rows worker by worker, some workers at a time."""
        who: Any = table.worker_id  # type: ignore[attr-defined]
        for part in parts(self.ids, WORKERS_AT_ONCE):
            query = select(table).where(who.in_(part), own(part))
            yield from self.session.scalars(query.order_by(who, *order))
            self.session.expunge_all()


def _during(column: Any, periods: Iterable[PayPeriod]) -> ColumnElement[bool]:
    return or_(*(and_(column >= one.starts_at, column < one.ends_at) for one in periods))


def parts(values: Iterable[T], width: int) -> Iterator[list[T]]:
    """Cut into lists of a width."""
    left = iter(values)
    while part := list(islice(left, width)):
        yield part
