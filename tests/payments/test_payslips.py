"""A payslip says all of a worker's period, adds up, is hashed and logged, and is the worker's to show."""

import json
from datetime import datetime, timedelta

import closing
import factories
import pytest
from closing import Week, draft_line, drafted, runner
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from payments import payslips, transparency
from payments.canonical import canonical, digest
from payments.drafts import book
from payments.due_lines import lines_of
from payments.payroll import close_period
from payments.payslips import PayslipShare, ShareEnded, UnknownPayslip, get_payslip, payslips_of
from payments.periods import period_at
from payments.transparency import PendingEntry, find


@pytest.fixture
def week(session: Session, now: datetime) -> Week:
    made = closing.week(session, now)
    close_period(runner(session), made.period.id, made.over, payer="Work Ltd")
    return made


def test_it_says_who_paid_what_for_what_and_adds_up(session: Session, week: Week) -> None:
    (slip,) = payslips_of(session, week.amina.id)
    document = slip.document
    lines = lines_of(session, week.period.id, week.amina.id)
    assert slip.number.startswith("2026-W47-")
    assert (document["payer"], document["period"]["code"], document["currency"]) == (
        "Work Ltd",
        "2026-W47",
        "KES",
    )
    assert document["worker"] == {
        "id": str(week.amina.id),
        "name": "Amina",
        "pseudonym": week.amina.pseudonym,
    }
    assert slip.total == document["totals"]["due"] == sum(line["due"] for line in document["lines"])
    assert slip.total == sum(line.due for line in lines)
    assert {line["due_line"] for line in document["lines"]} == {str(line.id) for line in lines}
    messages = next(line for line in document["lines"] if line.get("batch") == str(week.messages.id))
    assert messages["title"] == "Moods: First messages"
    assert messages["requester"] == "Zuri Research"
    assert messages["answers"] == 3
    assert messages["seconds_by"] == {"task": 900}
    assert messages["hours"] == "0:15:00"
    assert messages["due"] == messages["agreed"] + messages["topup"]
    overhead = next(line for line in document["lines"] if "batch" not in line)
    assert overhead["paid_by"] == "platform"
    assert sum(line["seconds"] for line in document["lines"]) == document["totals"]["seconds"]


def test_it_shows_the_hourly_wage_with_and_without_overhead(session: Session, now: datetime) -> None:
    # The worked example: 1,900 s and 360 s at 275.00 an hour, 240 s of the queue.
    worker, period = factories.worker(session, now), period_at(session, now, now)
    first, second = factories.batch(session, now), factories.batch(session, now)
    lines = [
        draft_line(now, first.id, seconds=1900, agreed=6_000),
        draft_line(now, second.id, seconds=360, agreed=2_000),
        draft_line(now, None, seconds=240, agreed=0),
    ]
    book(session, period, worker.id, drafted([(line, None) for line in lines]), now)
    (slip,) = payslips.make(session, period, worker.id, now)
    totals = slip.document["totals"]
    assert (totals["due"], totals["topup"], totals["hours"], totals["text"]) == (
        19_098,
        11_098,
        "0:41:40",
        "190.98",
    )
    assert slip.document["hourly"]["w_all"]["text"] == "275.01"
    assert slip.document["hourly"]["w_task"] == {"exact": "3107520/113", "text": "275.00"}


def test_it_is_hashed_logged_and_never_changed(session: Session, week: Week) -> None:
    (slip,) = payslips_of(session, week.brian.id)
    assert slip.digest == digest(slip.document)
    assert canonical(json.loads(canonical(slip.document))) == canonical(slip.document)
    waiting = session.scalar(
        select(PendingEntry).where(PendingEntry.kind == "payslip", PendingEntry.ref == str(slip.id))
    )
    assert waiting is not None
    assert waiting.entry == slip.document
    transparency.sequence(session, week.over)
    logged = find(session, "payslip", str(slip.id))
    assert logged is not None
    assert transparency.commitment(logged.salt, "payslip", str(slip.id), slip.document) == logged.commitment
    assert payslips.make(session, week.period, week.brian.id, week.over + timedelta(days=9)) == [slip]
    for statement in (update(payslips.Payslip).values(total=1), delete(payslips.Payslip)):
        with pytest.raises(DBAPIError, match="only grows"), session.begin_nested():
            session.execute(statement)


def test_two_currencies_are_two_payslips(session: Session, now: datetime) -> None:
    worker, period = factories.worker(session, now), period_at(session, now, now)
    batch = factories.batch(session, now)
    lines = [draft_line(now, batch.id), draft_line(now, None, currency="EUR", rate=1_231)]
    book(session, period, worker.id, drafted([(line, None) for line in lines]), now)
    slips = payslips.make(session, period, worker.id, now)
    assert [(slip.currency, slip.total) for slip in slips] == [("EUR", 6_000), ("KES", 27_500)]
    assert len({slip.number for slip in slips}) == 2


def test_it_is_the_workers_to_share_and_to_stop_sharing(session: Session, week: Week) -> None:
    (slip,) = payslips_of(session, week.amina.id)
    first = payslips.share(session, slip, week.over)
    second = payslips.share(session, slip, week.over, lasts=timedelta(hours=1))
    assert payslips.shared(session, first, week.over) is slip
    assert payslips.shared(session, second, week.over) is slip
    stored = session.scalars(select(PayslipShare.token_hash)).all()
    assert len(stored) == 2
    assert not {first, second} & set(stored)
    with pytest.raises(ShareEnded):
        payslips.shared(session, second, week.over + timedelta(hours=1))
    with pytest.raises(ShareEnded):
        payslips.shared(session, stored[0], week.over)
    (link,) = payslips.shares_of(session, slip, week.over + timedelta(hours=2))
    payslips.revoke(session, link, week.over)
    with pytest.raises(ShareEnded):
        payslips.shared(session, first, week.over)
    payslips.revoke_all(session, slip, week.over)
    assert payslips.shares_of(session, slip, week.over) == []


def test_it_is_nobody_elses(session: Session, week: Week) -> None:
    (slip,) = payslips_of(session, week.amina.id)
    assert get_payslip(session, slip.id, week.amina.id) is slip
    with pytest.raises(UnknownPayslip):
        get_payslip(session, slip.id, week.brian.id)
