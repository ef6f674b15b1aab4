"""From a file to an image of a project: looked through, described, and put where it stays; and away again."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from trustworthy.core.errors import InvalidInput
from trustworthy.core.files import atomic_write
from trustworthy.studio.db.tables import Image, Job, new_id
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.formats import ADVICE, SUFFIXES, format_of
from trustworthy.studio.images.probing import Prober, Statistics, lent
from trustworthy.studio.jobs.states import ENDED
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage

ROLES = ("any", "source", "target", "new")
WORDS = {
    "source": "source sources input inputs signal brightfield bright bf phase dic transmitted raw x a trans",
    "target": "target targets output outputs fluorescence fluo fluor dapi hoechst gfp yfp cfp rfp mcherry cy3 cy5 "
    "stain stained truth gt label labels mask masks y b",
    "new": "new apply unlabelled unlabeled predict",
}
LONG = 1000
"""Characters of a name at most."""
_FOLDERS = {word: role for role, words in WORDS.items() for word in words.split()}
_IN_NAMES = {word: role for word, role in _FOLDERS.items() if len(word) > 1 and role != "new"}


def role_of(name: str) -> str:
    """What an image is likely to be, by the words in its folders, the last one first, or else in its name.

    "any" where no word tells, or where the words disagree.
    """
    *folders, file = name.lower().split("/")
    for folder in reversed(folders):
        whole = _FOLDERS.get(folder.strip())
        found = {whole} if whole else {_IN_NAMES[word] for word in _words(folder) if word in _IN_NAMES}
        if found:
            return found.pop() if len(found) == 1 else "any"
    found = {_IN_NAMES[word] for word in _words(file.rpartition(".")[0] or file) if word in _IN_NAMES}
    return found.pop() if len(found) == 1 else "any"


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+\d?", text)


def clean_name(name: str) -> str:
    """A name as people see it: never a path. Raises InvalidInput where nothing is left."""
    plain = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).replace("\\", "/")
    shown = "".join(letter for letter in plain if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    parts = [part.strip() for part in shown.split("/") if part.strip() not in ("", ".", "..")]
    if not parts or len("/".join(parts)) > LONG:
        raise InvalidInput(f"name of a file must have 1 to {LONG} characters, got {len(shown)}; rename the file.")
    return "/".join(parts)


def check_role(role: str) -> None:
    """Raise InvalidInput unless it is one of `ROLES`."""
    if role not in ROLES:
        raise InvalidInput(f"role must be one of {', '.join(ROLES)}, got {role!r}.")


def prepare_image(storage: Storage, project_id: str, file: Path, name: str, role: str, prober: Prober) -> Image:
    """The row of an image whose files are in their places; it takes time, and no transaction. See `keep_images`.

    file : is moved. name : with the folders of its archive. role : one of `ROLES`; "any" is told by the name.

    Raises
    ------
    DataError, InvalidInput : it is no image that can be used; the file is left where it was, and nothing else is.
    """
    check_role(role)
    name, kind = clean_name(name), format_of(file)
    if kind not in SUFFIXES:
        raise InvalidInput(ADVICE)
    image = Image(id=new_id(), project_id=project_id, name=name, suffix=SUFFIXES[kind])
    image.role = role_of(name) if role == "any" else role
    try:
        _look_through(storage, image, file, prober)
        with file.open("rb") as stream:
            image.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        image.bytes = file.stat().st_size
        file.replace(file_of(storage, image))
    except BaseException:
        forget_files(storage, image)
        raise
    return image


def _look_through(
    storage: Storage, image: Image, file: Path, prober: Prober, description: Description | None = None
) -> None:
    found = prober.look(file, description)
    with atomic_write(thumbnail_of(storage, image), "wb") as stream:
        stream.write(found.thumbnail)
    with atomic_write(_statistics_file(storage, image)) as stream:
        stream.write(found.statistics.model_dump_json())
    image.description = found.description.to_json()


def keep_images(session: Session, storage: Storage, images: Sequence[Image]) -> list[Image]:
    """Rows of prepared images, in the transaction of `session`; what it does not commit leaves no file.

    An image that is in the project already, with the same name and content, is given as it is.
    """
    there = session.scalars(select(Image).filter(Image.project_id.in_({image.project_id for image in images})))
    known = {(image.name, image.sha256): image for image in there}
    kept = []
    for image in images:
        kept.append(known.setdefault((image.name, image.sha256), image))
        if kept[-1] is image:
            session.add(image)
            _after(session, "after_rollback", lambda image=image: forget_files(storage, image))
        else:
            forget_files(storage, image)
    session.flush()
    return kept


def look_again(storage: Storage, settings: Settings, image: Image, axes: str | None = None) -> None:
    """Measure an image anew.

    axes : as a person has named them; None for as they are. Raises InvalidInput, DataError.
    """
    known = Description(**image.description)
    wanted = known if axes is None else known.called(axes)
    with lent(settings) as prober:
        _look_through(storage, image, file_of(storage, image), prober, wanted)


def remove_image(session: Session, storage: Storage, image: Image) -> None:
    """Remove an image and its pair. Raises InvalidInput while a job that has not ended needs it."""
    jobs = session.scalars(select(Job).filter(Job.project_id == image.project_id, Job.status.not_in(ENDED)))
    used = [job.name or job.id[:8] for job in jobs if f'"{image.id}"' in json.dumps(job.settings)]
    if used:
        raise InvalidInput(f"{image.name} is used by the job {used[0]}; cancel that one first, or wait for its end.")
    session.delete(image)
    _after(session, "after_commit", lambda: forget_files(storage, image))


def file_of(storage: Storage, image: Image) -> Path:
    """Where the pixels are."""
    return storage.image(image.project_id, image.id, image.suffix)


def thumbnail_of(storage: Storage, image: Image) -> Path:
    """A PNG of `probing.SIDE` pixels."""
    return storage.previews(image.project_id) / f"{image.id}.png"


def statistics_of(storage: Storage, image: Image) -> Statistics:
    """What was measured when the image came."""
    return Statistics.model_validate_json(_statistics_file(storage, image).read_text(encoding="utf-8"))


def _statistics_file(storage: Storage, image: Image) -> Path:
    return storage.image(image.project_id, image.id, ".json")


def forget_files(storage: Storage, image: Image) -> None:
    """Remove all files of an image, as far as they are there."""
    for file in (file_of(storage, image), _statistics_file(storage, image), thumbnail_of(storage, image)):
        storage.remove(file)


def _after(session: Session, moment: str, act: Callable[[], None]) -> None:
    event.listen(session, moment, lambda *unused: act(), once=True)
