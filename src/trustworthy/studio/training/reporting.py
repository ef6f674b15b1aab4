"""The result of a job as one self-contained page, and as sentences, among them one for a methods section."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import imagecodecs
import jinja2
import numpy as np
from markupsafe import Markup

from trustworthy.core.files import atomic_write
from trustworthy.report import formatting, panel
from trustworthy.report.markup import element
from trustworthy.report.plots.theme import INK, Style, new_figure, to_svg
from trustworthy.report.render import environment
from trustworthy.studio.images.preview import preview
from trustworthy.studio.training.control import STUDIO_METHODS
from trustworthy.studio.training.packing import REPORT
from trustworthy.studio.training.record import METRICS, ImageResult, Result
from trustworthy.studio.training.saving import SavedModel
from trustworthy.studio.training.task import Task
from trustworthy.studio.words import many

SHOWN = 6
"""Images whose pictures the page holds; it would weigh megabytes for all."""
SIDE = 512
"""Pixels of the longer side of its pictures at most."""
_BASELINES = {"identity": "the source itself", "mean": "the mean everywhere"}


def write_report(folder: Path, result: Result, task: Task) -> None:
    """report.html of the result in `folder`, with pictures of the most uncertain images."""
    images, left = result.images[:SHOWN], len(result.images) - SHOWN
    page = _environment().get_template("report.html.j2").render(
        result=result, title=task.project_name, facts=_facts(result),
        kicker="Images predicted with a map of doubt" if result.kind == "train" else "A model applied to new images",
        answer=answer(result), scores=_scores(result) if result.summary else "", notes=result.notes,
        limits=_limits(result), calibration=_curve(result) if result.calibration else "", ranking=_ranking(result),
        shown=[_shown(folder, result, image) for image in images], metrics=METRICS.values(),
        left_out=f"{left} more images, less uncertain, are in the folder images of the download." if left > 0 else "",
    )  # fmt: skip
    with atomic_write(folder / REPORT) as stream:
        stream.write(page)


@cache
def _environment() -> jinja2.Environment:
    shared = environment()
    own = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    return shared.overlay(loader=jinja2.ChoiceLoader([own, shared.loader] if shared.loader else [own]))


def trained_sentence(about: SavedModel, summary: Mapping[str, float | None]) -> str:
    """For a methods section: what was trained, on what, with which software, and how well it does."""
    settings, counts = about.settings, {part: len(names) for part, names in about.names.items()}
    reached = ", ".join(f"{METRICS[name].label} {value:.3g}" for name, value in summary.items() if value is not None)
    stopped = f" (stopped after {settings.patience} without improvement)" if settings.patience else ""
    if about.stopped:
        stopped = f", but stopped by hand after {' and '.join(map(str, about.stopped))},"
    return (
        f"{_network(about)} was trained to predict {_channels(about)} by the mean absolute error for {settings.epochs} "
        f"epochs{stopped} of {settings.patch} x {settings.patch} pixel patches, batch size {settings.batch_size}, Adam "
        f"with learning rate {settings.learning_rate * 1e-3:.3g} and weight decay {settings.weight_decay * 1e-5:.3g}, "
        f"seed {settings.seed}, on {many(counts.get('train', 0), 'pair')} of images; "
        f"{many(counts.get('validation', 0), 'further pair')} chose the epoch and calibrated the uncertainty, and "
        f"{many(counts.get('test', 0), 'pair')} that nothing had seen tested it"
        f"{f' (means: {reached})' if reached else ''}. {_software(about)}"
    )


def applied_sentence(about: SavedModel, images: int) -> str:
    """For a methods section: that a model was applied."""
    trained = many(len(about.names.get("train", ())), "pair")
    return (
        f"Of {many(images, 'image')}, {_channels(about)} were predicted by {_network(about)[:1].lower()}"
        f"{_network(about)[1:]} that had been trained on {trained} of images. {_software(about)}"
    )


def _network(about: SavedModel) -> str:
    settings = about.settings
    dropout = f", dropout {settings.dropout:g}" if settings.dropout else ""
    kind = f"U-Net (width {settings.width}{dropout})"
    if settings.method == "mc-dropout":
        return f"A {kind} asked {about.draws} times with dropout"
    if about.draws == 1:
        return f"A {kind}"
    way = "trained independently" if settings.method == "naive" else STUDIO_METHODS[settings.method].split(":")[0]
    return f"An ensemble of {about.draws} networks ({way}), each a {kind},"


def _channels(about: SavedModel) -> str:
    names = about.target.channel_names
    told = ", ".join(names[channel] for channel in about.target_channels) if len(names) == about.target.channels else ""
    return f"the target {told}" if told else "target images"


def _software(about: SavedModel) -> str:
    known = about.versions
    return (
        f"Software: trustworthy {known.get('trustworthy', '')}, PyTorch {known.get('torch', '')}, Python "
        f"{known.get('python', '')}."
    )


def answer(result: Result) -> list[str]:
    """How good the predictions are, against what needs no network, and which images a person should look at."""
    said, ours = [], result.summary.get("pearson")
    source = result.baselines.get("identity", {}).get("pearson")
    if ours is not None:
        compared = f"; the source itself reaches {source:.3f}" if source is not None else ""
        said.append(f"Prediction and target correlate with {ours:.3f} on images that were not trained on{compared}.")
        if source is not None and ours <= abs(source):
            said.append("That is no better than the source itself: do not use these predictions.")
    flagged = [image.name for image in result.images if image.flagged]
    if flagged:
        named = ", ".join(flagged[:SHOWN]) + (f" and {len(flagged) - SHOWN} more" if len(flagged) > SHOWN else "")
        said.append(f"A person should look at {many(len(flagged), 'image')} of {len(result.images)}: {named}.")
    elif result.images:
        said.append(f"No image of {len(result.images)} is more uncertain than those it was calibrated on.")
    return said


def undefined(image: ImageResult) -> str | None:
    """Why some metrics of an image are not defined; None where all are."""
    missing = [name for name, value in image.metrics.items() if value is None]
    if "psnr" in missing:
        return f"{image.name}: its target has one value in every pixel, or is met exactly, so most metrics say nothing."
    if "pearson" in missing:
        return f"{image.name}: the prediction has one value in every pixel; a constant correlates with nothing."
    return f"{image.name}: it has fewer than 11 pixels on a side, too few for SSIM." if "ssim" in missing else None


def _facts(result: Result) -> list[tuple[str, str]]:
    settings = result.settings
    return [
        ("Images", str(len(result.images))),
        ("Method", STUDIO_METHODS[settings["method"]].split(":")[0]),
        ("Members", str(settings.get("members", ""))),
        ("Epochs", str(settings.get("epochs", ""))),
        ("Time", formatting.duration(result.seconds)),
    ]


def _limits(result: Result) -> str:
    tolerance = ", ".join(map(formatting.number, result.tolerance))
    above = "" if result.threshold is None else f" An image is flagged above {formatting.number(result.threshold)}."
    return f"Tolerance: {tolerance} {result.unit}.{above} An image that is unlike those of the training is flagged too."


def _scores(result: Result) -> Markup:
    names = list(result.summary)
    given = {"prediction": result.summary, **{_BASELINES.get(by, by): of for by, of in result.baselines.items()}}
    rows = [panel.row(by, [_written(name, values.get(name)) for name in names]) for by, values in given.items()]
    undefined = element("p", f"{formatting.NOTHING}: not defined. A constant correlates with nothing, and only the "
                        "prediction has an uncertainty.", look="muted")  # fmt: skip
    return (
        panel.table("Metrics", ["", *map(_label, names)], rows, "Metrics of the prediction and of baselines")
        + undefined
    )


def _written(name: str, value: float | None) -> str:
    return formatting.number(value) if METRICS[name].unit else formatting.score(value)


def _label(name: str) -> str:
    metric = METRICS[name]
    unit = {"": "", "target": " (units of the target)"}.get(metric.unit, f" ({metric.unit})")
    return f"{metric.label}{unit}"


def _ranking(result: Result) -> Markup:
    names = [name for name in ("pearson", "ssim", "coverage") if name in result.summary]
    rows = [
        panel.row(
            image.name,
            [formatting.number(image.uncertainty), f"{image.untrusted:.1%}", "look at it" if image.flagged else ""]
            + [formatting.score(image.metrics.get(name)) for name in names],
        )
        for image in result.images
    ]
    head = ["Image", "Uncertainty", "Masked", "Flag", *(METRICS[name].label for name in names)]
    return panel.table("Images, the most uncertain first", head, rows, "Images, the most uncertain first")


def _shown(folder: Path, result: Result, image: ImageResult) -> dict[str, object]:
    pictures = [
        (role, _data(folder / "previews" / f"{image.folder}-0-{role}.png"), _range(role, image.ranges.get(role)))
        for role in image.roles
    ]
    return {"name": image.name, "said": image.unlike, "pictures": pictures}


def _range(role: str, ends: Sequence[float] | None) -> str:
    return "white: do not trust" if role == "mask" else " to ".join(map(formatting.number, ends)) if ends else ""


def _data(file: Path) -> str:
    picture = np.atleast_3d(imagecodecs.png_decode(file.read_bytes())).transpose(2, 0, 1)
    return f"data:image/png;base64,{base64.b64encode(preview(picture, 0, 255, SIDE)).decode()}"


def _curve(result: Result) -> Markup:
    predicted, observed = zip(*result.calibration, strict=True)
    with new_figure() as (figure, (axes,)):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.plot(predicted, observed, **Style(1).bold, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="share that should lie within", ylabel="share that does")
        told = ", ".join(f"{at:.0%}: {found:.0%}" for at, found in result.calibration)
        return to_svg(figure, "calibration", f"Observed coverage by wanted coverage: {told}.")
