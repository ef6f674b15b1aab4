"""One object with all settings: from a TOML file, the environment, or flags, the later ones before the earlier."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.values import Value

PREFIX = "STUDIO_"
FILE = "studio.toml"
GIB = 2**30


class Settings(Value):
    """Settings of a studio, checked; the description of each is what the page of the settings says of it."""

    data_dir: Path = Field(Path.home() / "trustworthy-studio", description="Folder that holds everything")
    database_url: str | None = Field(None, description="Database, for SQLAlchemy; SQLite in the folder by default")
    free_bytes: int = Field(GIB, ge=0, description="Space on the disk that always stays free")
    host: str = Field("127.0.0.1", description="Address at which the pages are served")
    network: bool = Field(False, description="The address may be one of a network, though nothing is encrypted")
    port: int = Field(8420, ge=0, le=65535, description="Port of that address")
    max_file_bytes: int = Field(16 * GIB, ge=1, description="Largest file that can be uploaded")
    max_files: int = Field(5000, ge=1, description="Most images in one upload, those of an archive too")
    max_pixels: int = Field(2**31, ge=1, description="Most pixels of one image, over all its planes and channels")
    max_ratio: float = Field(200.0, ge=1, description="By how much an archive may grow when it is unpacked")
    links: bool = Field(False, description="Images may be fetched from a link")
    link_hosts: tuple[str, ...] = Field(
        ("drive.google.com", "drive.usercontent.google.com", "zenodo.org"),
        description="Hosts from which links may fetch, and from hosts below them",
    )
    device: str = Field("auto", description="Where jobs run: auto, cpu, cuda, cuda:1")
    threads: int | None = Field(None, ge=1, description="Processors that a job uses; by default half of them")
    attempts: int = Field(3, ge=1, description="How often a job that breaks off is tried")
    lease_seconds: float = Field(
        60.0, gt=0, description="After this long without a sign of life, a job is given to another worker"
    )
    beat_seconds: float = Field(5.0, gt=0, description="Time between signs of life")
    stall_seconds: float = Field(1800.0, gt=0, description="Without progress for this long, a job is stopped")

    @property
    def url(self) -> str:
        """Of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'studio.sqlite'}"

    @property
    def job_threads(self) -> int:
        """Of torch in a job."""
        return self.threads or max(1, (os.cpu_count() or 1) // 2)


def load_settings(
    file: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ, **flags: Any
) -> Settings:
    """Settings of a TOML file, of the variables STUDIO_NAME, and of flags that are not None; the last one counts.

    file : None for studio.toml in the data folder, where there is one.

    Raises
    ------
    InvalidInput : the file is missing or no TOML, or a setting is unknown or out of its range.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    known = {name: environ[PREFIX + name.upper()] for name in Settings.model_fields if PREFIX + name.upper() in environ}
    folder = Path(given.get("data_dir") or known.get("data_dir") or Settings.model_fields["data_dir"].default)
    if "link_hosts" in known:
        known["link_hosts"] = tuple(host.strip() for host in known["link_hosts"].split(","))  # type: ignore[assignment]
    values = {**_of_file(folder / FILE if file is None else Path(file), file is not None), **known, **given}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidInput(
            f"{name} of the studio: {first['msg']}, got {first['input']!r}; correct it in {FILE}, in the variable "
            f"{PREFIX}{name.upper()}, or in the flag."
        ) from error
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().resolve()})


def _of_file(file: Path, wanted: bool) -> dict[str, Any]:
    if not file.is_file():
        if wanted:
            raise InvalidInput(f"there is no file {file}; name a TOML file with settings of the studio.")
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is no TOML ({error}); write one setting on a line, such as port = 8420.") from error
