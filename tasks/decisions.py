"""A decision says what happened to an item and why: enough, one answer more, contested, reopened, adjudicated.

Decisions only grow: what was decided is never edited, a later decision stands beside it. Each names the number of
answers and the version of the fit that it rests on; those of a person name the person and the reason they wrote.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.words import Words
from tasks.append_only import attach, only_grows
from tasks.db import Base


class DecisionKind(StrEnum):
    """What was decided."""

    ENOUGH = "enough"
    ONE_MORE = "one_more"
    CONTESTED = "contested"
    REOPENED = "reopened"
    ADJUDICATED = "adjudicated"
    PUBLISHED = "published"


class ItemDecision(Base):
    """One decision about an item; `winners` holds the label of each field that has one."""

    __tablename__ = "item_decision"
    __table_args__ = (Index("ix_item_decision_item", "item_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("item.id"))
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    kind: Mapped[str]
    answers: Mapped[int]
    winners: Mapped[dict[str, Any]]
    fit_version: Mapped[int | None]
    reason: Mapped[Words]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[datetime]


TRIGGERS = only_grows("item_decision")
attach(ItemDecision.__table__, TRIGGERS)


def record(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add decisions."""
    if rows:
        session.execute(insert(ItemDecision), list(rows))


def history(session: Session, item_id: int) -> list[ItemDecision]:
    """Give all decisions about an item, the first first."""
    query = select(ItemDecision).where(ItemDecision.item_id == item_id).order_by(ItemDecision.id)
    return list(session.scalars(query))
