"""Settings of the money side. What a batch costs is fixed in its terms; a new setting holds for new terms only."""

from decimal import Decimal
from typing import ClassVar

from tasks.settings import Settings, UnsafeSetting


class PaymentSettings(Settings, frozen=True, kw_only=True):
    """What the platform asks of requesters."""

    prefix: ClassVar[str] = "PAYMENTS_"

    fee_percent: Decimal = Decimal(10)
    """The platform's fee on new batches, in percent of what workers are paid."""

    def __post_init__(self) -> None:
        """Refuse a fee that is none."""
        if not self.fee_percent.is_finite() or not 0 <= self.fee_percent <= 100:
            raise UnsafeSetting("PAYMENTS_FEE_PERCENT is a number from 0 to 100. See deploy/env.example.")
