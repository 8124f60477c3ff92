"""The ledger, rebuilt from its journals alone: balances, numbering, guards, reversals, and what each due line moved.

Every account is rebuilt line by line from its first; each wage must be a due line's, each payout a payout's, and
nothing else may touch what is owed to a worker.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .facts import Placed, Row, canonical
from .floors import micros, moment
from .reading import Bundle

CHART = {
    "rail_cash": ("asset", "none"),
    "rail_pending": ("asset", "none"),
    "requester_prefund": ("liability", "credit"),
    "batch_reserve": ("liability", "credit"),
    "worker_payable": ("liability", "credit"),
    "payout_in_transit": ("liability", "credit"),
    "tax_withheld": ("liability", "credit"),
    "platform_fee": ("income", "none"),
    "overhead": ("expense", "none"),
    "rail_fee": ("expense", "none"),
    "goodwill": ("expense", "none"),
    "fx": ("equity", "none"),
    "rounding": ("equity", "none"),
    "suspense": ("equity", "none"),
}
CODE = re.compile(r"([a-z_]+)(?::([A-Za-z0-9][A-Za-z0-9._-]{0,79}))?:([A-Z]{3})", re.ASCII)
UNDER_WAY = {"planned", "in_transit"}


@dataclass
class Account:
    """One account as far as it is rebuilt; lines that came too early wait."""

    sign: int
    debits: int = 0
    credits: int = 0
    version: int = 0
    early: dict[int, tuple[int, int, str]] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        """What stands on it, in its own direction."""
        return self.sign * (self.debits - self.credits)


class Ledger:
    """Reads payouts, journals and accounts, in this order."""

    def __init__(self, bundle: Bundle, booked: dict[int, Placed], periods: set[str]) -> None:
        """Begin the checks."""
        self.bundle = bundle
        self.booked = dict(booked)
        self.periods = periods
        self.accounts: dict[str, Account] = {}
        self.commitments: dict[int, tuple[int, bytes]] = {}
        self.mirrors: dict[int, bytes] = {}
        self.kinds: dict[int, str] = {}
        self.reversed: set[int] = set()
        self.dues: dict[str, int] = defaultdict(int)
        self.others = 0
        report = bundle.report
        self.whole = report.check("every journal is whole and as it was fingerprinted")
        self.chain = report.check("every account's lines are numbered 1 to n with the right balances")
        self.mirror = report.check("every reversal mirrors its journal")
        self.wage = report.check("every due line is booked with equal amounts")
        self.owed = report.check("what is owed to workers is what was due less what was paid out")
        self.payout = report.check("every payout is booked, and every paid one has a reference")
        self.balance = report.check("debits equal credits, and every balance is the sum of its lines")

    def run(self) -> None:
        """Rebuild everything."""
        self.payouts = {
            row["reserve_journal"]: (place, row) for place, row in self.bundle.rows("payouts.jsonl")
        }
        self.confirmed = {
            row["paid_journal"]: (place, row) for place, row in self.payouts.values() if "paid_journal" in row
        }
        last = 0
        for place, row in self.bundle.rows("journals.jsonl"):
            journal = row["journal"]
            if journal["id"] <= last:
                self.whole.fail(place, "journals are not in order")
            last = journal["id"]
            self._journal(place, row)
            self._meaning(place, journal)
        for place, row in self.booked.values():
            self.wage.fail(place, f"journal {row['journal']} is not in the bundle")
        self._accounts()
        self._payouts()

    def _journal(self, place: str, row: Row) -> None:
        journal, transfers = row["journal"], row["journal"]["transfers"]
        self.whole.counted += 1
        if [one["line"] for one in transfers] != list(range(1, journal["lines"] + 1)) or not transfers:
            self.whole.fail(place, "a line of the journal is missing or doubled")
        if _fingerprint(journal) != journal["fingerprint"]:
            self.whole.fail(place, "the journal is not what was fingerprinted")
        for number, one in enumerate(transfers):
            self._transfer(f"{place}[{number}]", one)
        if row["seq"] in self.commitments:
            self.whole.fail(place, f"place {row['seq']} of the log is taken twice")
        committed = {"entry": journal, "kind": "journal", "ref": str(journal["id"])}
        digest = sha256(bytes.fromhex(row["salt"]) + canonical(committed)).digest()
        self.commitments[row["seq"]] = (journal["id"], digest)
        self.mirrors[journal["id"]] = _moves(transfers, "debit", "credit")
        self.kinds[journal["id"]] = journal["kind"]
        self._reversal(place, journal)

    def _transfer(self, place: str, one: Row) -> None:
        if one["amount"] < 1 or one["debit"] == one["credit"]:
            self.whole.fail(place, "a transfer moves a positive amount between two accounts")
        for side in ("debit", "credit"):
            code = one[side]
            if code not in self.accounts:
                found = CODE.fullmatch(code)
                if found is None or found[1] not in CHART:
                    self.whole.fail(place, f"the chart knows no account {code[:80]!r}")
                kind = CHART[found[1]][0] if found and found[1] in CHART else "asset"
                self.accounts[code] = Account(1 if kind in {"asset", "expense"} else -1)
            if code.rpartition(":")[2] != one["currency"]:
                self.whole.fail(place, f"{code} is not an account of {one['currency']}")
            amount = one["amount"] if side == "debit" else -one["amount"]
            self._chained(place, code, one[f"{side}_version"], amount, one[f"{side}_after"])

    def _chained(self, place: str, code: str, version: int, amount: int, after: int) -> None:
        account = self.accounts[code]
        if version <= account.version or version in account.early:
            self.chain.fail(place, f"{code}: line {version} stands twice")
            return
        account.early[version] = (amount, after, place)
        while account.version + 1 in account.early:
            account.version += 1
            amount, after, place = account.early.pop(account.version)
            account.debits += max(amount, 0)
            account.credits += max(-amount, 0)
            self.chain.expect(place, f"{code} after line {account.version}", after, account.balance)

    def _reversal(self, place: str, journal: Row) -> None:
        if "reverses" not in journal:
            return
        self.mirror.counted += 1
        original = journal["reverses"]
        if original in self.reversed:
            self.mirror.fail(place, f"journal {original} is reversed twice")
        self.reversed.add(original)
        if self.mirrors.get(original) != _moves(journal["transfers"], "credit", "debit"):
            self.mirror.fail(place, f"it does not mirror journal {original}")

    def _meaning(self, place: str, journal: Row) -> None:
        """Compare a journal with the due line or payout that it books."""
        touched = {
            code for one in journal["transfers"] for code in (one["debit"], one["credit"])
            if code.startswith("worker_payable:")
        }  # fmt: skip
        if journal["kind"] == "due":
            self._due(place, journal)
        elif journal["id"] in self.payouts:
            self._set_aside(place, journal, *self.payouts[journal["id"]])
        elif journal["kind"] == "reversal" and journal.get("reverses") in self.payouts:
            self.payout.counted += 1
        elif touched:
            self.owed.fail(place, f"{min(touched)} is moved by neither a due line nor a payout")

    def _due(self, place: str, journal: Row) -> None:
        for one in journal["transfers"]:
            if one["credit"].startswith("worker_payable:"):
                self.dues[one["credit"]] += one["amount"]
        line_place, line = self.booked.pop(journal["id"], ("", None))
        if line is None:
            if journal["key"].split(":")[1] in self.periods:
                self.wage.fail(place, "a wage without a due line")
            self.others += 1
            return
        self.wage.counted += 1
        said = {name: journal.get(name) for name in ("key", "evidence", "rule_hash", "fx_rate_id")}
        wanted = {
            "key": f"due:{line['period']}:{line['worker']}:{line.get('batch', 'overhead')}:"
            + moment(micros(line["segment_start"])).isoformat(),
            "evidence": line["evidence"],
            "rule_hash": line["rule_sha256"],
            "fx_rate_id": line.get("fx_rate"),
        }
        for name, value in wanted.items():
            if said[name] != value:
                self.wage.fail(place, f"{name} is {said[name]}, the due line ({line_place}) says {value}")
        self._amounts(place, journal, line)

    def _amounts(self, place: str, journal: Row, line: Row) -> None:
        """Compare what went to the worker, what the payer bore, and the fee."""
        to = f"worker_payable:{line['worker']}:{line['currency']}"
        own, theirs = line["currency"], line["charge_currency"]
        payers = ("batch_reserve:", "requester_prefund:", "goodwill:", "overhead:")
        paid = borne = fee = 0
        for one in journal["transfers"]:
            if one.get("line_ref") != line["id"]:
                self.wage.fail(place, f"line {one['line']} does not name the due line")
            if one["code"] == "fee":
                fee += one["amount"] if one["credit"] == f"platform_fee:{theirs}" else 0
                continue
            paid += one["amount"] if one["credit"] == to else 0
            borne += one["amount"] if one["debit"].startswith(payers) and one["currency"] == theirs else 0
            if own == theirs and one["credit"] != to:
                self.wage.fail(place, f"line {one['line']} pays somebody else")
        for what, found, wanted in (
            ("what the worker gets", paid, line["due"]),
            ("what the payer bears", borne, line["charge"]),
            ("the fee", fee, line["fee"]),
        ):
            if found != wanted:
                self.wage.fail(place, f"{what} is {found}, the due line says {wanted}")
        if paid < line["due"]:
            self.bundle.report.shortfall[line["worker"], own] += line["due"] - paid

    def _set_aside(self, place: str, journal: Row, payout_place: str, payout: Row) -> None:
        self.payout.counted += 1
        moved = [(one["debit"], one["credit"], one["amount"]) for one in journal["transfers"]]
        wanted = [(_payable(payout), _transit(payout), payout["amount"])]
        if moved != wanted or journal["kind"] != "payout":
            self.payout.fail(place, f"it does not set aside the payout ({payout_place})")

    def _accounts(self) -> None:
        sums: dict[str, int] = defaultdict(int)
        said = {}
        for place, row in self.bundle.rows("accounts.jsonl"):
            code = row["code"]
            said[code] = row
            name = code.partition(":")[0]
            account = self.accounts.get(code, Account(1))
            self.balance.expect(place, f"{code}: debits", row["debits"], account.debits)
            self.balance.expect(place, f"{code}: credits", row["credits"], account.credits)
            self.chain.expect(place, f"{code}: the number of lines", row["version"], account.version)
            self.balance.expect(
                place, f"{code}: kind and guard", (row["kind"], row["guard"]), CHART.get(name)
            )
            if account.early:
                self.chain.fail(place, f"{code}: line {account.version + 1} is missing")
            if CHART.get(name, ("", ""))[1] == "credit" and account.credits < account.debits:
                self.balance.fail(place, f"{code} is overdrawn")
            sums[row["currency"]] += row["debits"] - row["credits"]
        for code in self.accounts.keys() - said.keys():
            self.balance.fail("accounts.jsonl", f"{code} is missing")
        for currency, left in sums.items():
            self.balance.expect("accounts.jsonl", f"debits less credits in {currency}", left, 0)

    def _payouts(self) -> None:
        taken: dict[str, int] = defaultdict(int)
        transit: dict[str, int] = defaultdict(int)
        for place, row in self.payouts.values():
            if row["reserve_journal"] not in self.kinds:
                self.payout.fail(place, "its journal is not in the bundle")
            if row["state"] == "failed":
                if row["reserve_journal"] not in self.reversed:
                    self.payout.fail(place, "it failed, and its money was not given back")
                continue
            taken[_payable(row)] += row["amount"]
            if row["state"] in UNDER_WAY:
                transit[_transit(row)] += row["amount"]
            else:
                self._paid(place, row)
        for code, account in sorted(self.accounts.items()):
            if code.startswith("worker_payable:"):
                self.owed.expect(code, "the balance", account.balance, self.dues[code] - taken[code])
            if code.startswith("payout_in_transit:"):
                self.payout.expect(code, "the balance", account.balance, transit[code])

    def _paid(self, place: str, row: Row) -> None:
        if row["state"] != "paid" or not row.get("reference"):
            self.payout.fail(place, "it counts as paid, and nothing proves it")
        elif self.kinds.get(row.get("paid_journal", 0)) != "payout_paid":
            self.payout.fail(place, "it counts as paid, and the ledger does not say so")


def _payable(payout: Row) -> str:
    return f"worker_payable:{payout['worker']}:{payout['currency']}"


def _transit(payout: Row) -> str:
    return f"payout_in_transit:{payout['rail']}:{payout['currency']}"


def _moves(transfers: list[Row], debit: str, credit: str) -> bytes:
    moves = [[one["line"], one[debit], one[credit], one["amount"], one["currency"]] for one in transfers]
    return sha256(canonical(moves)).digest()


def _fingerprint(journal: Row) -> str:
    names = ("debit", "credit", "amount", "currency", "code")
    content: dict[str, Any] = {
        "kind": journal["kind"],
        "moves": [[*(one[n] for n in names), one.get("line_ref", "")] for one in journal["transfers"]],
        "effective_at": journal["effective_at"],
        "evidence": journal.get("evidence", ""),
        "rule_hash": journal.get("rule_hash", ""),
        "fx_rate_id": journal.get("fx_rate_id", ""),
        "memo": journal["memo"],
        "reverses": journal.get("reverses", 0),
    }
    return sha256(canonical(content)).hexdigest()
