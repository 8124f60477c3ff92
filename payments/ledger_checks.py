"""What must hold in the ledger at every moment, each as one query that lists what breaks it.

The queries read the stored rows alone and share nothing with the code that writes them. They run after every
test scenario and each day in production; an auditor may run them as they stand here.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Check:
    """One thing that must hold, whether it does, and what breaks it."""

    name: str
    ok: bool
    detail: str


# A transfer read as its two postings: plus is a debit, minus a credit.
POSTING: Final = """
WITH posting AS (
    SELECT debit_id AS account_id, amount, debit_version AS version, debit_after AS after FROM transfer
    UNION ALL
    SELECT credit_id, -amount, credit_version, credit_after FROM transfer
)"""

# ruff: noqa: S608  every part of these queries is our own text
CHECKS: Final[dict[str, str]] = {
    "debits equal credits in every currency": """
SELECT currency || ': ' || sum(debits) || ' debited, ' || sum(credits) || ' credited'
FROM account GROUP BY currency HAVING sum(debits) <> sum(credits)""",
    "every balance is the sum of its transfers": POSTING
    + """
SELECT account.code FROM account LEFT JOIN posting ON posting.account_id = account.id
GROUP BY account.id
HAVING account.debits <> coalesce(sum(amount) FILTER (WHERE amount > 0), 0)
    OR account.credits <> coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)""",
    "every account's lines are numbered 1 to n": POSTING
    + """
SELECT account.code FROM account LEFT JOIN posting ON posting.account_id = account.id
GROUP BY account.id
HAVING count(posting.version) <> account.version
    OR count(DISTINCT posting.version) <> account.version
    OR coalesce(min(posting.version), 1) <> 1
    OR coalesce(max(posting.version), 0) <> account.version""",
    "every balance after a line is the running sum": POSTING
    + """
SELECT code || ' at line ' || version FROM (
    SELECT account.code, posting.version, posting.after,
        sum(posting.amount * CASE WHEN account.kind IN ('asset', 'expense') THEN 1 ELSE -1 END)
            OVER (PARTITION BY account.id ORDER BY posting.version) AS running
    FROM posting JOIN account ON account.id = posting.account_id
) AS chain WHERE after <> running""",
    "every journal has exactly its lines": """
SELECT 'journal ' || journal.id FROM journal LEFT JOIN transfer ON transfer.journal_id = journal.id
GROUP BY journal.id
HAVING count(transfer.line) <> journal.lines
    OR min(transfer.line) <> 1 OR max(transfer.line) <> journal.lines""",
    "every reversal mirrors its journal": """
SELECT 'journal ' || reversal.id FROM journal AS reversal
JOIN journal AS original ON original.id = reversal.reverses
WHERE reversal.lines <> original.lines OR EXISTS (
    SELECT FROM transfer AS was LEFT JOIN transfer AS now
        ON now.journal_id = reversal.id AND now.line = was.line AND now.amount = was.amount
        AND now.currency = was.currency AND now.debit_id = was.credit_id AND now.credit_id = was.debit_id
    WHERE was.journal_id = original.id AND now.id IS NULL)""",
    "no guarded account is overdrawn": """
SELECT code FROM account
WHERE (guard = 'credit' AND credits < debits) OR (guard = 'debit' AND debits < credits)""",
    "every wage names its evidence and its rule": """
SELECT DISTINCT 'journal ' || journal.id FROM journal JOIN transfer ON transfer.journal_id = journal.id
JOIN account AS debit ON debit.id = transfer.debit_id JOIN account AS credit ON credit.id = transfer.credit_id
WHERE debit.code LIKE 'batch_reserve:%' AND credit.code LIKE 'worker_payable:%'
    AND (journal.evidence_digest IS NULL OR journal.rule_set_hash IS NULL)""",
}

SHOWN: Final = 5


def checks(session: Session) -> list[Check]:
    """Run all checks; a failed one names its first few offenders."""
    made = []
    for name, query in CHECKS.items():
        found = session.scalars(text(f"{query} LIMIT {SHOWN + 1}")).all()
        more = " and more" if len(found) > SHOWN else ""
        made.append(Check(name, not found, ", ".join(found[:SHOWN]) + more))
    return made
