"""What a job publishes, as its pages, its zip and its report read it: `result/result.json` and files beside it.

result/result.json                      a `Result`
result/images/NAME/prediction.ome.tif   and uncertainty, error, mask; names are those of `ImageResult.folder`
result/previews/FOLDER-PLANE-ROLE.png   8 bits; ROLE: source, target, prediction, uncertainty, error, mask
result/metrics.csv, report.html, configuration.json
result/model/                           of a training: what `training.saving` loads
result/download.zip                     all that a person takes home
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

FILE = "result.json"
ROLES = ("source", "target", "prediction", "uncertainty", "error", "mask")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageResult(_Record):
    """One image that a model was asked about.

    name : as people know it. folder : of its files, below `images`, unique and safe. image_id, target_id : of the
    originals; no target where a model was applied to new images.
    planes : as many previews of each role. ranges : by role, what black and white of its previews stand for.
    metrics : by name, such as pearson, psnr, ssim, uncertainty_correlation, coverage; none without a target.
    uncertainty : mean over its pixels, in units of the target. untrusted : share of its area that is masked.
    flagged : a person should look at it. unlike : sentences on how it differs from the images of the training.
    """

    name: str
    folder: str
    image_id: str
    target_id: str | None = None
    planes: int = 1
    roles: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    metrics: dict[str, float | None] = {}
    uncertainty: float
    untrusted: float
    flagged: bool
    unlike: tuple[str, ...] = ()


class Result(_Record):
    """What came out of a job.

    kind : "train" or "predict". summary : metrics of the test images together. baselines : by name ("identity",
    "mean"), the same metrics. images : the most uncertain first.
    threshold : uncertainty of an image above which it is flagged, in units of the target. tolerance : see
    `TrainingSettings`. promise : in a sentence, what the calibration guarantees, or why it guarantees nothing.
    calibration : points (predicted, observed) of the curve that the page draws.
    methods : the sentence for a methods section. notes : what deserves to be told.
    unit : of the target's numbers. settings : of the training. versions : of the software.
    """

    kind: str
    summary: dict[str, float | None] = {}
    baselines: dict[str, dict[str, float | None]] = {}
    images: tuple[ImageResult, ...]
    threshold: float
    tolerance: float
    promise: str
    calibration: tuple[tuple[float, float], ...] = ()
    methods: str
    notes: tuple[str, ...] = ()
    unit: str = "grey values"
    settings: dict[str, Any]
    versions: dict[str, str]
    seconds: float

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def load_result(folder: Path) -> Result:
    """The result that a job has published in `folder`."""
    return Result.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
