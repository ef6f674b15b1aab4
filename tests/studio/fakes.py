"""A small and complete result folder, made from arrays: what pages of results are tested with."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from trustworthy.studio.training.record import ImageResult, Result

Arrays = Mapping[str, np.ndarray]


def arrays(seed: int = 0, size: int = 24, planes: int = 1) -> dict[str, np.ndarray]:
    """Source, target, prediction and uncertainty (planes, size, size) of blobs, in counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    signal = np.stack([np.exp(-(((y - cy) ** 2 + (x - cx) ** 2) / 0.02)) for cy, cx in rng.random((planes, 2))])
    spread = 20 + 100 * signal
    return {
        "source": (200 + 3000 * signal + rng.normal(0, 60, signal.shape)).astype(np.uint16),
        "target": (1000 + 800 * signal).astype(np.uint16),
        "prediction": (1000 + 800 * signal + rng.normal(0, spread)).astype(np.float32),
        "uncertainty": (1.6 * spread).astype(np.float32),
    }


def write_result(
    folder: Path,
    images: Mapping[str, Arrays] | None = None,
    *,
    kind: str = "train",
    ids: Mapping[str, tuple[str, str | None]] | None = None,
    **fields: object,
) -> Result:
    """Write the result of a job into `folder`, as `training.record` says, and give it.

    images : by name, `arrays` of it; None for three, one of them flagged, or of a prediction without targets.
    ids : of source and target by name. fields : of `Result`, in the place of what is made up here.
    """
    given = {f"well {n}.tif": arrays(n) for n in range(3)} if images is None else images
    tolerance = 150.0
    shown = [
        _image(folder, f"{place:03d}-image", name, of, tolerance, kind, (ids or {}).get(name, ("0" * 32, "1" * 32)))
        for place, (name, of) in enumerate(given.items(), 1)
    ]
    shown.sort(key=lambda image: -image.uncertainty)
    threshold = float(np.median([image.uncertainty for image in shown]))
    train = kind == "train"
    made: dict[str, object] = {
        "summary": {"pearson": 0.93, "psnr": 24.1, "ssim": 0.71, "mae": 18.2, "uncertainty_correlation": 0.61,
                    "coverage": 0.88} if train else {},
        "baselines": {
            "identity": {"pearson": 0.81, "psnr": 17.0, "ssim": 0.44, "mae": 60.3},
            "mean": {"pearson": None, "psnr": 14.0, "ssim": 0.31, "mae": 81.5},
        } if train else {},
        "meaning": "The prediction plus or minus the uncertainty holds the target at 90 % of the pixels.",
        "factor": 1.6,
        "threshold": threshold,
        "tolerance": (tolerance,),
        "flagging": "An image is flagged where it is more uncertain than all 5 validation images.",
        "promise": "On average, at least 75 % of the pixels of a new image lie within, as 5 images calibrated it.",
        "calibration": tuple((p / 10, p / 10 * 0.96) for p in range(1, 10)) if train else (),
        "methods": "A U-Net was trained on 10 pairs of images with trustworthy 0.1.",
        "notes": ("Five networks were trained.",),
        "settings": {"epochs": 10, "members": 5},
        "versions": {"trustworthy": "0.1", "torch": "2.0"},
        "seconds": 61.5,
    }  # fmt: skip
    images_of = tuple(image.model_copy(update={"flagged": image.uncertainty > threshold}) for image in shown)
    result = Result(kind=kind, images=images_of, **{**made, **fields})  # type: ignore[arg-type]
    result.save(folder)
    (folder / "metrics.csv").write_text("image,pearson\n", encoding="utf-8")
    (folder / "report.html").write_text("<!doctype html><title>Report</title>", encoding="utf-8")
    (folder / "configuration.json").write_text("{}", encoding="utf-8")
    with zipfile.ZipFile(folder / "download.zip", "w") as archive:
        archive.write(folder / "metrics.csv", "metrics.csv")
    return result


def _image(
    folder: Path, name_of_folder: str, name: str, of: Arrays, tolerance: float, kind: str, ids: tuple[str, str | None]
) -> ImageResult:
    with_target = kind == "train"
    maps = {
        role: of[role] for role in ("source", "target", "prediction", "uncertainty") if with_target or role != "target"
    }
    if with_target:
        maps["error"] = np.abs(of["prediction"] - of["target"])
    maps["mask"] = np.where(of["uncertainty"] > tolerance, 255, 0).astype(np.uint8)
    ranges = {role: (float(values.min()), float(values.max())) for role, values in maps.items()}
    ranges["mask"] = (0.0, 255.0)
    for place in ("images/" + name_of_folder, "previews"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for role, values in maps.items():
        if role not in ("source", "target"):
            tifffile.imwrite(folder / "images" / name_of_folder / f"{role}.ome.tif", values, metadata={"axes": "ZYX"})
        low, high = ranges[role]
        for plane, pixels in enumerate(values):
            grey = np.clip((pixels - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / "previews" / f"{name_of_folder}-{plane}-{role}.png")
    metrics: dict[str, float | None] = {
        "pearson": 0.93,
        "psnr": 24.1,
        "ssim": 0.71,
        "mae": 18.2,
        "uncertainty_correlation": 0.6,
        "coverage": 0.9,
    }
    return ImageResult(
        name=name, folder=name_of_folder, image_id=ids[0], target_id=ids[1] if with_target else None,
        part="test" if with_target else "new", planes=len(of["source"]), roles=tuple(maps), ranges=ranges,
        metrics=metrics if with_target else {}, uncertainty=float(of["uncertainty"].mean()),
        untrusted=float((maps["mask"] > 0).mean()), flagged=False,
        unlike=() if with_target else ("channel 0: its mean is 300, those of the training images lie from 10 to 20.",),
    )  # fmt: skip
