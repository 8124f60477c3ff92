"""A rail is one way to send money. It sees orders and no database, and says what it did in its own words.

The manual rail writes a file for people who pay by hand. Equal orders give equal bytes, so that a file made again is
the same file.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from payments.money import text
from schemas.uploads import export_cell
from schemas.words import Words


@dataclass(frozen=True)
class Order:
    """What a rail needs to know of one payout."""

    payout_id: UUID
    worker: str
    amount: int
    currency: str
    reference: str


class PayoutRail(Protocol):
    """One way to send money; it sees orders and no database."""

    name: str
    words: Words

    def render(self, run_id: UUID, orders: Sequence[Order]) -> bytes:
        """Write the orders as the bytes that are handed over; equal orders give equal bytes."""
        ...


class ManualFileRail:
    """A CSV file for people who pay by hand and confirm with the bank's reference."""

    name = "manual"
    words = Words("by hand")

    def render(self, run_id: UUID, orders: Sequence[Order]) -> bytes:  # noqa: ARG002  the file names each payout
        """Write the file, by payout id."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(["payout_id", "worker", "amount", "currency", "reference"])
        for order in sorted(orders, key=lambda one: one.payout_id):
            amount = text(order.amount, order.currency)
            writer.writerow(
                [order.payout_id, export_cell(order.worker), amount, order.currency, order.reference]
            )
        return out.getvalue().encode()


MANUAL: Final = ManualFileRail()
RAILS: Final[dict[str, PayoutRail]] = {MANUAL.name: MANUAL}
