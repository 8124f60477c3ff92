"""A fit is what all answers of a batch said together when they were last weighed.

It holds how workers confuse the labels, and how far the answers agree. There is one per batch, replaced with a new
version each time. Looks at single items read it, once per process and version; nothing in it is ever read by whoever
computes pay.
"""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import BigInteger, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from schemas.kept import Kept
from tasks.db import Base
from tasks.redundancy import Model

MODELS_KEPT: Final = 32
"""Batches whose models stay unpacked in one process."""


class Fit(Base):
    """The newest fit of a batch; `agreement` holds each field's measures, `models` the packed matrices."""

    __tablename__ = "fit"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    version: Mapped[int]
    answers: Mapped[int]
    last_answer_id: Mapped[int] = mapped_column(BigInteger)
    """Every current answer up to this one was weighed."""
    agreement: Mapped[list[Any]]
    models: Mapped[bytes]
    computed_at: Mapped[datetime]


class Known(NamedTuple):
    """The models by field of one version of a fit."""

    version: int
    models: Mapping[str, Model]


_kept: Kept[Known] = Kept(MODELS_KEPT)


def find_fit(session: Session, batch_id: UUID) -> Fit | None:
    """Give a batch's newest fit, if its answers were weighed at all."""
    return session.get(Fit, batch_id, populate_existing=True)


def models_of(session: Session, batch_id: UUID, version: int, last_answer_id: int) -> Known:
    """Give the models of a fit, or of one that is newer; reads the database once per process and version."""
    known = _kept.get(f"{batch_id}:{version}:{last_answer_id}")
    if known is not None:
        return known
    columns = select(Fit.models, Fit.version, Fit.last_answer_id)
    packed = session.execute(columns.where(Fit.batch_id == batch_id)).one()
    name = f"{batch_id}:{packed.version}:{packed.last_answer_id}"
    return _kept.keep(name, Known(packed.version, unpack(packed.models)))


def pack(models: Mapping[str, Model]) -> bytes:
    """Write models as one compressed archive of arrays."""
    arrays: dict[str, Any] = {}
    for name, model in models.items():
        arrays[f"{name}/classes"] = np.array(model.classes, dtype=np.str_)
        arrays[f"{name}/workers"] = np.array(model.workers, dtype=np.str_)
        arrays[f"{name}/prior"], arrays[f"{name}/pool"] = model.prior, model.pool
        arrays[f"{name}/confusion"] = model.confusion
        arrays[f"{name}/seen"] = np.array([model.answers, model.deep, model.version])
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def unpack(packed: bytes) -> dict[str, Model]:
    """Read models that `pack` wrote."""
    models = {}
    with np.load(io.BytesIO(packed)) as arrays:
        for name in {one.rpartition("/")[0] for one in arrays.files}:
            answers, deep, version = arrays[f"{name}/seen"].tolist()
            models[name] = Model(
                classes=tuple(arrays[f"{name}/classes"].tolist()),
                prior=arrays[f"{name}/prior"],
                pool=arrays[f"{name}/pool"],
                workers=tuple(arrays[f"{name}/workers"].tolist()),
                confusion=arrays[f"{name}/confusion"],
                answers=answers,
                deep=deep,
                version=version,
            )
    return models
