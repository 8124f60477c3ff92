"""Settings of the money side. What a batch costs is fixed in its terms; a new setting holds for new terms only."""

import re
from decimal import Decimal
from typing import ClassVar

from tasks.settings import Settings, UnsafeSetting, guessable


class PaymentSettings(Settings, frozen=True, kw_only=True):
    """What the platform asks of requesters, and under which names it pays and signs."""

    prefix: ClassVar[str] = "PAYMENTS_"

    fee_percent: Decimal = Decimal(10)
    """The platform's fee on new batches, in percent of what workers are paid."""
    payer: str = "Fairlabel"
    """Who pays, as payslips name it: the legal name of whoever runs the instance."""
    log_key: str = ""
    """64 hex digits (`openssl rand -hex 32`) that sign the transparency log; unset, the log is not signed."""
    log_origin: str = "fairlabel.local/log"
    """The log's public name, for ever: a domain of yours and a path, without spaces."""

    def __post_init__(self) -> None:
        """Refuse a fee, a key or a name that is none."""
        if not self.fee_percent.is_finite() or not 0 <= self.fee_percent <= 100:
            raise UnsafeSetting("PAYMENTS_FEE_PERCENT is a number from 0 to 100. See deploy/env.example.")
        if self.log_key and (not re.fullmatch(r"[0-9a-fA-F]{64}", self.log_key) or guessable(self.log_key)):
            raise UnsafeSetting(
                "PAYMENTS_LOG_KEY is 64 hex digits that nobody can guess; make it with `openssl rand -hex 32`."
            )
        if not re.fullmatch(r"[^\s+]{1,255}", self.log_origin):
            raise UnsafeSetting("PAYMENTS_LOG_ORIGIN is a name without spaces, such as pay.example.org/log.")
        if not self.payer.strip():
            raise UnsafeSetting("PAYMENTS_PAYER is the legal name of whoever pays.")
