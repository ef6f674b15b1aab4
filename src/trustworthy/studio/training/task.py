"""What a job is to do, frozen when it is submitted: `Job.settings` is a task, and so is job.json of an attempt.

A task names files by the ids of their images, never by paths: `Storage.image` makes these. It is the exact
configuration that reruns the job.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trustworthy.studio.images.description import Description
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.values import Value

FILE = "job.json"


class Picture(Value):
    """An image: its id, what it is called, the suffix and digest of its file, and what is known of it."""

    id: str
    name: str
    suffix: str
    sha256: str
    description: Description


class Place(Value):
    """A pair, or of a prediction a source alone. part : "train", "validation", "test"; of a prediction "new"."""

    name: str
    part: str
    source: Picture
    target: Picture | None = None

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its images."""
        return (self.source,) if self.target is None else (self.source, self.target)


class Task(Value):
    """A job.

    kind : "train", or "predict", which applies the model `model_id` to new images.
    finish : make what the training that was cancelled has so far into a result, and train no more.
    """

    job: str
    project: str
    project_name: str
    kind: Literal["train", "predict"]
    places: tuple[Place, ...]
    settings: TrainingSettings | None = None
    model_id: str | None = None
    finish: bool = False

    def file(self, storage: Storage, picture: Picture) -> Path:
        """Where the pixels of one of its images are."""
        return storage.image(self.project, picture.id, picture.suffix)


class Orders(Value):
    """job.json: a task, and where and how this attempt at it runs."""

    task: Task
    attempt: int
    data_dir: Path
    device: str = "auto"
    threads: int = 1
    free_bytes: int = 0

    @property
    def storage(self) -> Storage:
        return Storage(self.data_dir, self.free_bytes)

    @property
    def folder(self) -> Path:
        """In which this attempt works, and nobody else does."""
        return self.storage.attempt(self.task.job, self.attempt)

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def load_orders(folder: Path) -> Orders:
    return Orders.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
