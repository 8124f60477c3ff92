"""What must hold in the ledger at every moment, each as one query that lists what breaks it.

The queries read the stored rows alone and share nothing with the code that writes them. They run after every
test scenario and each day in production; an auditor may run them as they stand here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from schemas.words import Words, listed


@dataclass(frozen=True)
class Check:
    """One thing that must hold, whether it does, and what breaks it."""

    name: Words
    ok: bool
    detail: Words


@dataclass(frozen=True)
class Query:
    """A check as one query that lists what breaks it, and how a row of it is said; without words its one column is."""

    name: Words
    sql: str
    offender: Words | None = None


# A transfer read as its two postings: plus is a debit, minus a credit.
POSTING: Final = """
WITH posting AS (
    SELECT debit_id AS account_id, amount, debit_version AS version, debit_after AS after FROM transfer
    UNION ALL
    SELECT credit_id, -amount, credit_version, credit_after FROM transfer
)"""

JOURNAL: Final = Words("journal %(id)s")

# ruff: noqa: S608  every part of these queries is our own text
CHECKS: Final = (
    Query(
        Words("debits equal credits in every currency"),
        """
SELECT currency, sum(debits) AS debits, sum(credits) AS credits
FROM account GROUP BY currency HAVING sum(debits) <> sum(credits)""",
        Words("%(currency)s: %(debits)s debited, %(credits)s credited"),
    ),
    Query(
        Words("every balance is the sum of its transfers"),
        POSTING
        + """
SELECT account.code FROM account LEFT JOIN posting ON posting.account_id = account.id
GROUP BY account.id
HAVING account.debits <> coalesce(sum(amount) FILTER (WHERE amount > 0), 0)
    OR account.credits <> coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)""",
    ),
    Query(
        Words("every account's lines are numbered 1 to n"),
        POSTING
        + """
SELECT account.code FROM account LEFT JOIN posting ON posting.account_id = account.id
GROUP BY account.id
HAVING count(posting.version) <> account.version
    OR count(DISTINCT posting.version) <> account.version
    OR coalesce(min(posting.version), 1) <> 1
    OR coalesce(max(posting.version), 0) <> account.version""",
    ),
    Query(
        Words("every balance after a line is the running sum"),
        POSTING
        + """
SELECT code, version FROM (
    SELECT account.code, posting.version, posting.after,
        sum(posting.amount * CASE WHEN account.kind IN ('asset', 'expense') THEN 1 ELSE -1 END)
            OVER (PARTITION BY account.id ORDER BY posting.version) AS running
    FROM posting JOIN account ON account.id = posting.account_id
) AS chain WHERE after <> running""",
        Words("%(code)s at line %(version)s"),
    ),
    Query(
        Words("every journal has exactly its lines"),
        """
SELECT journal.id FROM journal LEFT JOIN transfer ON transfer.journal_id = journal.id
GROUP BY journal.id
HAVING count(transfer.line) <> journal.lines
    OR min(transfer.line) <> 1 OR max(transfer.line) <> journal.lines""",
        JOURNAL,
    ),
    Query(
        Words("every reversal mirrors its journal"),
        """
SELECT reversal.id FROM journal AS reversal
JOIN journal AS original ON original.id = reversal.reverses
WHERE reversal.lines <> original.lines OR EXISTS (
    SELECT FROM transfer AS was LEFT JOIN transfer AS now
        ON now.journal_id = reversal.id AND now.line = was.line AND now.amount = was.amount
        AND now.currency = was.currency AND now.debit_id = was.credit_id AND now.credit_id = was.debit_id
    WHERE was.journal_id = original.id AND now.id IS NULL)""",
        JOURNAL,
    ),
    Query(
        Words("no guarded account is overdrawn"),
        """
SELECT code FROM account
WHERE (guard = 'credit' AND credits < debits) OR (guard = 'debit' AND debits < credits)""",
    ),
    Query(
        Words("every wage names its evidence and its rule"),
        """
SELECT DISTINCT journal.id FROM journal JOIN transfer ON transfer.journal_id = journal.id
JOIN account AS debit ON debit.id = transfer.debit_id JOIN account AS credit ON credit.id = transfer.credit_id
WHERE debit.code LIKE 'batch_reserve:%' AND credit.code LIKE 'worker_payable:%'
    AND (journal.evidence_digest IS NULL OR journal.rule_set_hash IS NULL)""",
        JOURNAL,
    ),
)

SHOWN: Final = 5


def checks(session: Session) -> list[Check]:
    """Run all checks; a failed one names its first few offenders."""
    return [run(session, query) for query in CHECKS]


def run(session: Session, query: Query) -> Check:
    """Ask a query for what breaks its check."""
    said = query.offender
    rows = session.execute(text(f"{query.sql} LIMIT {SHOWN + 1}")).mappings()
    named = [{name: str(value) for name, value in row.items()} for row in rows]
    return check(query.name, [said.filled(**row) if said else next(iter(row.values())) for row in named])


def check(name: Words, found: Sequence[str]) -> Check:
    """Make a check of what was found to break it."""
    return Check(name, not found, few(found))


def few(found: Sequence[str]) -> Words:
    """Name the first few of what was found."""
    return Words("%(these)s and more", these=list(found[:SHOWN])) if len(found) > SHOWN else listed(found)
