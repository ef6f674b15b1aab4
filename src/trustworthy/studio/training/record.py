"""What a job publishes, as its pages, its zip and its report read it: `result/result.json` and files beside it.

result/result.json                      a `Result`
result/images/FOLDER/prediction.ome.tif and uncertainty, error, mask, in float32; FOLDER is `ImageResult.folder`
result/images/FOLDER/prediction-uint16.ome.tif   the same in the type of the target, where that is a whole one
result/previews/FOLDER-PLANE-ROLE.png   8 bits; ROLE: source, target, prediction, uncertainty, error, mask
result/metrics.csv, report.html, configuration.json
result/model/                           of a training: what `training.saving` loads
result/download.zip                     all that a person takes home
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from trustworthy.studio.values import Value

FILE = "result.json"
ROLES = ("source", "target", "prediction", "uncertainty", "error", "mask")


class Metric(NamedTuple):
    """How a metric is called, in which unit, whether more of it is better, and what it says, for who does not know it.

    unit : "" for none; "target" for that of the target, `Result.unit`.
    """

    label: str
    unit: str
    higher: bool | None
    meaning: str


METRICS: dict[str, Metric] = {
    "pearson": Metric(
        "Pearson correlation", "", True,
        "Do prediction and target rise and fall together? 1 is perfect, 0 is chance. Blind to brightness and contrast.",
    ),
    "psnr": Metric(
        "PSNR", "dB", True,
        "Peak signal-to-noise ratio: the range of the target against the typical error. 6 dB more halve the error.",
    ),
    "ssim": Metric(
        "SSIM", "", True, "Structural similarity of small neighbourhoods of about 11 pixels. 1 is perfect, 0 is chance."
    ),
    "mae": Metric("Mean error", "target", False, "How far a pixel of the prediction lies from the target, on average."),
    "uncertainty_correlation": Metric(
        "Uncertainty against error", "", True,
        "Is the error large where the uncertainty is? Correlation of their ranks over pixels; 0 is chance, and even a "
        "perfect map stays below 1, as errors vary by chance.",
    ),
    "coverage": Metric(
        "Coverage", "", None,
        "Share of the pixels whose target lies within prediction plus or minus uncertainty. It should be 0.9: less is "
        "too sure, more is too careful.",
    ),
}  # fmt: skip
"""In the order in which they are shown. One that is undefined, as the correlation with a constant image, is None."""


class ImageResult(Value):
    """One image that a model was asked about.

    name : as people know it. folder : of its files, below `images`, unique and safe. image_id, target_id : of the
    originals; no target where a model was applied to new images. part : "test", "validation" where there are no test
    images, "new" where a model was applied.
    planes : as many previews of each role. ranges : by role, what black and white of its previews stand for.
    metrics : by name of `METRICS`; None where it is undefined; empty without a target. baselines : see `Result`.
    uncertainty : mean over its pixels, in units of the target. untrusted : share of its area that is masked.
    flagged : a person should look at it. unlike : sentences on how it differs from the images of the training.
    """

    name: str
    folder: str
    part: str = "test"
    image_id: str
    target_id: str | None = None
    planes: int = 1
    roles: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    metrics: dict[str, float | None] = Field(default_factory=dict)
    baselines: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    uncertainty: float
    untrusted: float
    flagged: bool
    unlike: tuple[str, ...] = ()


class Result(Value):
    """What came out of a job.

    kind : "train" or "predict". summary : metrics as means over the test images. baselines : by name ("identity",
    "mean"), the same metrics. images : the most uncertain first.
    meaning : what the map of uncertainty shows, in a sentence. factor : by which the standard deviation of the members,
    joined with noise, was multiplied for it; None where they do not deviate, and the map is the same everywhere.
    threshold : uncertainty of an image above which it is flagged, in units of the target; None where nothing tells.
    tolerance : of each channel of the target, error from which on a pixel is not to be trusted; empty where nothing
    tells. flagging : how both were chosen, in a sentence.
    promise : in a sentence, what the calibration guarantees, or why it guarantees nothing.
    calibration : points (predicted, observed) of the curve that the page draws: shares of the pixels within intervals,
    that they should hold and that they do hold on the test images.
    methods : the sentence for a methods section. notes : what deserves to be told.
    unit : of the target's numbers. settings : of the training. versions : of the software.
    """

    kind: str
    summary: dict[str, float | None] = Field(default_factory=dict)
    baselines: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    images: tuple[ImageResult, ...]
    meaning: str
    factor: float | None = None
    threshold: float | None
    tolerance: tuple[float, ...]
    flagging: str
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
