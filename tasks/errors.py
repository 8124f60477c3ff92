"""Errors are named by the fact; the docstring is the sentence that people read.

    FairlabelError
    ├── NotFound               404
    ├── NotAllowed             403
    ├── Conflict               409
    └── Invalid                422

Every package derives its own facts from these four. The edge maps them once to problem+json or to an error page.
"""

from typing import Any, ClassVar


class FairlabelError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        """Take the message (the class's docstring if none is given) and JSON-able details."""
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


class NotFound(FairlabelError):
    """There is nothing here, or it is not yours to see."""

    status = 404


class NotAllowed(FairlabelError):
    """Your role does not allow this."""

    status = 403


class Conflict(FairlabelError):
    """The state of things does not allow this now."""

    status = 409


class Invalid(FairlabelError):
    """What was sent cannot be used."""

    status = 422
