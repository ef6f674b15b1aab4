"""One object with all settings: from a TOML file, the environment, or flags, the later ones before the earlier."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustworthy.core.errors import InvalidInput

PREFIX = "STUDIO_"
FILE = "studio.toml"
GIB = 2**30


class Settings(BaseModel):
    """Settings of a studio, checked.

    data_dir : where everything lies that the studio keeps.
    database_url : for SQLAlchemy; None for SQLite in `data_dir`.
    host, port : where the pages are served.
    device : on which jobs run, "auto", "cpu", "cuda", "cuda:1".
    threads : of torch in a job; None for half of the processors, at least one.
    max_file_bytes : of one uploaded file. max_files : images of one upload, an archive included.
    max_pixels : of one image, over all its planes and channels. max_ratio : by which an archive may grow when unpacked.
    free_bytes : that stay free on the disk whatever is uploaded or trained.
    links : whether images may be fetched from a link. link_hosts : from which hosts, and those below them.
    lease_seconds : after which a job whose worker was not heard of is another worker's. beat_seconds : between signs
        of life. stall_seconds : without progress after which a job is stopped. attempts : of a job at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Path.home() / "trustworthy-studio"
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65535)
    device: str = "auto"
    threads: int | None = Field(None, ge=1)
    max_file_bytes: int = Field(16 * GIB, ge=1)
    max_files: int = Field(5000, ge=1)
    max_pixels: int = Field(2**31, ge=1)
    max_ratio: float = Field(200.0, ge=1)
    free_bytes: int = Field(GIB, ge=0)
    links: bool = False
    link_hosts: tuple[str, ...] = ("drive.google.com", "drive.usercontent.google.com", "zenodo.org")
    lease_seconds: float = Field(60.0, gt=0)
    beat_seconds: float = Field(5.0, gt=0)
    stall_seconds: float = Field(1800.0, gt=0)
    attempts: int = Field(3, ge=1)

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
