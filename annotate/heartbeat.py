"""The sign of life of the worker process: a row that a sweep renews three times a minute; pages read it in no time.

It counts real time, also where an instance's own clock is simulated: it is about a process, not about work.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from tasks import progress

SUBJECT = UUID("00000000-0000-7000-8000-0000000beef1")
SILENT_AFTER = timedelta(seconds=75)
"""Three beats and a little: late enough for a busy queue, soon enough for somebody who waits for an import."""


def beat(session: Session) -> None:
    """Say that a worker runs."""
    progress.report(session, SUBJECT, 1, 1, datetime.now(UTC))


def is_silent(session: Session) -> bool:
    """Tell whether no worker has been heard for too long."""
    last = progress.progress_of(session, SUBJECT)
    return last is None or datetime.now(UTC) - last.updated_at > SILENT_AFTER
