"""The tables: projects, their images and pairs, uploads, jobs and models."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, MetaData, String, Text, TypeDecorator, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""How constraints are called: migrations of every database need to know."""


def new_id() -> str:
    """32 hexadecimal digits that nobody can guess."""
    return uuid.uuid4().hex


def now() -> datetime:
    return datetime.now(UTC)


class Instant(TypeDecorator[datetime]):
    """A moment with its zone, which SQLite does not keep."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """What all tables share: an id and when the row was made."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar = {dict[str, Any]: JSON, list[Any]: JSON, datetime: Instant}

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    created: Mapped[datetime] = mapped_column(default=now)


def counted(session: Session, column: Any, *conditions: Any) -> dict[str, int]:
    """How many rows have each value of a column."""
    rows = session.execute(select(column, func.count()).where(*conditions).group_by(column))
    return {value: count for value, count in rows}  # noqa: C416  a row is no pair to the type checker


def _of(table: str, **options: Any) -> Any:
    return mapped_column(String(32), ForeignKey(f"{table}.id", ondelete="CASCADE"), index=True, **options)


class Project(Table):
    """A project.

    split : settings of `pairs.splitting`.
    """

    __tablename__ = "project"

    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    email: Mapped[str | None] = mapped_column(String(254))
    owner: Mapped[str | None] = mapped_column(String(32), index=True)
    split: Mapped[dict[str, Any]] = mapped_column(default=dict)
    images: Mapped[list[Image]] = relationship(back_populates="project", cascade="all, delete-orphan")
    pairs: Mapped[list[Pair]] = relationship(back_populates="project", cascade="all, delete-orphan")
    jobs: Mapped[list[Job]] = relationship(back_populates="project", cascade="all, delete-orphan")
    models: Mapped[list[Model]] = relationship(back_populates="project", cascade="all, delete-orphan")


class Upload(Table):
    """A file on its way, in chunks. role : that its images will have; "any" is told apart by names of folders."""

    __tablename__ = "upload"

    project_id: Mapped[str] = _of("project")
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    role: Mapped[str] = mapped_column(String(16), default="any")


class Image(Table):
    """An image as it was uploaded.

    name : as its file was called, with the folders of an archive. role : "source", "target", "new" (to apply a model
    to) or "any" (nobody knows yet). suffix : of the stored file. description : `images.Description`, as JSON; its axes
    are those of the file, or those that a person has corrected.
    """

    __tablename__ = "image"

    project_id: Mapped[str] = _of("project")
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16), default="any", index=True)
    suffix: Mapped[str] = mapped_column(String(16))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    description: Mapped[dict[str, Any]]
    project: Mapped[Project] = relationship(back_populates="images")


class Pair(Table):
    """A source and its target. part : "train", "validation", "test", or "none" where a person leaves the pair out."""

    __tablename__ = "pair"

    project_id: Mapped[str] = _of("project")
    name: Mapped[str] = mapped_column(Text)
    source_id: Mapped[str] = _of("image", unique=True)
    target_id: Mapped[str] = _of("image", unique=True)
    part: Mapped[str] = mapped_column(String(16), default="train")
    project: Mapped[Project] = relationship(back_populates="pairs")
    source: Mapped[Image] = relationship(foreign_keys=source_id)
    target: Mapped[Image] = relationship(foreign_keys=target_id)


class Job(Table):
    """A job, what it is to do, and how far it is.

    kind : "train" or "predict". status : of `jobs.states`. settings : all that the job needs besides the images, and
    `images`, its pairs or images as they were at submission. token, worker, lease_until : of the attempt that runs now.
    attempts : so far; they number the folders. forgiven : of these, attempts that do not count towards the limit: those
    before a person asked again, and those that a worker gave back because it was stopped.
    progress : in [0, 1]. seconds_left : estimated; None where nobody knows. reason : in words, of a failure.
    cancelling : a person wants it to stop. stage : what it does now, in words.
    """

    __tablename__ = "job"

    project_id: Mapped[str] = _of("project")
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[str] = mapped_column(String(16), index=True)
    settings: Mapped[dict[str, Any]]
    estimate: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model_id: Mapped[str | None] = mapped_column(String(32), index=True)
    token: Mapped[str | None] = mapped_column(String(32))
    worker: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    forgiven: Mapped[int] = mapped_column(default=0)
    cancelling: Mapped[bool] = mapped_column(default=False)
    progress: Mapped[float] = mapped_column(default=0.0)
    stage: Mapped[str] = mapped_column(Text, default="")
    seconds_left: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    project: Mapped[Project] = relationship(back_populates="jobs")


class Model(Table):
    """A trained model. about : what its page shows, `training.saving` has the rest in the model's folder."""

    __tablename__ = "model"

    project_id: Mapped[str] = _of("project")
    job_id: Mapped[str | None] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(200))
    about: Mapped[dict[str, Any]]
    project: Mapped[Project] = relationship(back_populates="models")
