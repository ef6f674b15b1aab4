"""A model as a package of the BioImage Model Zoo, which ilastik, deepImageJ, QuPath and others read; the extra `bio`.

One image in its own units goes in; the prediction in the units of the target comes out, and of an ensemble its
disagreement as further channels: normalisation is inside, as fixed numbers. The weights are there twice, as a state
dict for `network` and as TorchScript, which needs nothing of this library. A package is tested by the zoo's own test
before anybody gets it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy import __version__
from trustworthy.core.errors import DataError
from trustworthy.core.extras import required
from trustworthy.core.files import atomic_write
from trustworthy.nn import Translator, UNet
from trustworthy.studio.training.methods import network_of, networks_in
from trustworthy.studio.training.saving import Saved, load_saved

RELATIVE = 1e-4
"""Difference between the package and its test output that the zoo's test allows, of the value; and of the target's
standard deviation beside it. Another machine adds its floating-point numbers in another order."""
SPEC, COMMON = "bioimageio.spec.model.v0_5", "bioimageio.spec.common"
INPUT, OUTPUT, STATE, SCRIPT = "input.npy", "output.npy", "weights.pt", "weights.torchscript.pt"
SMALLEST, LARGEST = 64, 512
"""Pixels, about which the test image has at least where the network allows it, and at most."""


class ZooModel(nn.Module):
    """Several networks as one: the channels of their mean answer, then those of its standard deviation, in own units.

    Images have sides that are multiples of the networks' `grid`. Of one network there is the answer alone.
    """

    source_mean: Tensor
    source_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, members: Sequence[UNet], channels: tuple[int, int]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        for role, count in zip(("source", "target"), channels, strict=True):
            self.register_buffer(f"{role}_mean", torch.zeros(count, 1, 1))
            self.register_buffer(f"{role}_std", torch.ones(count, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        normalised = (x - self.source_mean) / self.source_std
        answers = torch.stack([member.translate(normalised) for member in self.members])  # type: ignore[operator]
        answers = answers * self.target_std + self.target_mean
        mean = answers.mean(0)
        return mean if len(self.members) == 1 else torch.cat((mean, answers.std(0, correction=0)), 1)


def network(members: int, options: dict[str, Any]) -> ZooModel:
    """What the state dict of a package belongs to: U-Nets with these options, and statistics that it will hold."""
    nets = [UNet(**options) for _ in range(members)]
    return ZooModel(nets, (options["in_channels"], options["out_channels"]))


def zoo_model(saved: Saved) -> tuple[ZooModel, dict[str, Any]]:
    """A trained model as the zoo knows one, and the arguments of `network` that make it but for its weights.

    Dropout is off: a package has to answer alike every time. MC dropout gives its prediction, and no uncertainty.
    """
    model: Translator = saved.model
    nets = networks_in(model.net)
    channels = len(saved.about.source_channels), len(saved.about.target_channels)
    given = {"members": len(nets), "options": network_of(saved.about.settings, *channels)}
    built = network(**given)
    for role, known in (("source", model.source), ("target", model.target)):
        getattr(built, f"{role}_mean").copy_(known.mean[:, None, None])
        getattr(built, f"{role}_std").copy_(known.std[:, None, None])
    for member, net in zip(built.members, nets, strict=True):
        member.load_state_dict(net.state_dict())
    return built.eval(), given


def zoo_package(folder: Path, file: Path, *, name: str, description: str, sample: np.ndarray | None = None) -> Path:
    """Write the package of the model in `folder` into `file`, a zip, once it has passed the zoo's test.

    Parameters
    ----------
    folder : of `training.saving`. name, description : in a person's words.
    sample : (channels, height, width), a plane of a source image with all its channels, from whose middle the test
        image is cut; None for noise with the statistics of the training set.

    Costs three passes over an image of up to 512 x 512 pixels, and some more in the test.

    Raises
    ------
    MissingPackage : the extra `bio` is not installed.
    DataError : the zoo's test fails, or the model cannot be read.
    """
    core = required("bioimageio.core", "a package of the BioImage Model Zoo")
    saved = load_saved(folder)
    model, given = zoo_model(saved)
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        place = Path(temporary)
        _write_parts(place, model, _test_image(saved, model, sample))
        (place / "README.md").write_text(_readme(saved, name, description, len(model.members)), encoding="utf-8")
        described = _described(place, saved, model, given, name, description)
        package = core.save_bioimageio_package(described, output_path=place / "package.zip", local_files_only=True)
        for weights in ("pytorch_state_dict", "torchscript"):
            _check(core.test_model(package, weights, devices=["cpu"]), name)
        with atomic_write(file, "wb") as stream, package.open("rb") as written:
            shutil.copyfileobj(written, stream)
    return file


def _check(summary: Any, name: str) -> None:
    """Refuse a package that has not passed the zoo's test."""
    if summary.status != "passed":
        told = "; ".join(error.msg for detail in summary.details for error in detail.errors)
        raise DataError(f"the package of {name!r} fails the test of the BioImage Model Zoo ({told}); none was written.")


def _test_image(saved: Saved, model: ZooModel, sample: np.ndarray | None) -> Tensor:
    """(1, channels, side, side): the middle of the sample, reflected where it is too small."""
    net: Any = model.members[0]
    side = _least(net)
    if sample is None:
        noise = torch.randn(1, net.channels, side, side, generator=torch.Generator().manual_seed(0))
        return saved.model.source.inverse(noise)
    image, largest = sample[list(saved.about.source_channels)], max(side, LARGEST // net.grid * net.grid)
    for axis in (1, 2):
        have = image.shape[axis]
        wanted = min(max(side, have // net.grid * net.grid), largest)
        first = max(have - wanted, 0) // 2
        image = image[:, first : first + wanted] if axis == 1 else image[:, :, first : first + wanted]
        image = np.pad(image, [(0, max(wanted - have, 0) if at == axis else 0) for at in range(3)], mode="symmetric")
    return torch.from_numpy(image.astype(np.float32))[None]


def _least(net: Any) -> int:
    """Pixels of the smallest side: something is left of it when the halo is cut off at both ends."""
    return -(-max(SMALLEST, 2 * net.reach + 1) // net.grid) * net.grid


def _write_parts(place: Path, model: ZooModel, image: Tensor) -> None:
    np.save(place / INPUT, image.numpy())
    np.save(place / OUTPUT, model(image).numpy())
    torch.save(model.state_dict(), place / STATE)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # the zoo's programs read no other kind
        torch.jit.save(torch.jit.trace(model, image, check_trace=False), place / SCRIPT)


def _described(place: Path, saved: Saved, model: ZooModel, given: dict[str, Any], name: str, description: str) -> Any:
    """The description of the package, whose files lie in `place`, as the zoo checks it.

    Its halo is all that an output pixel looks at: tiles that are cut by it fit together without a seam.
    """
    zoo, at = required(SPEC), required(COMMON).FileDescr
    sources, targets = _channel_names(saved, len(model.members))
    tolerance = zoo.ReproducibilityTolerance(
        relative_tolerance=RELATIVE, absolute_tolerance=RELATIVE * float(model.target_std.max())
    )
    net: Any = model.members[0]
    size, source = zoo.ParameterizedSize(min=_least(net), step=net.grid), zoo.TensorId("source")
    axes = {axis: {"id": zoo.AxisId(axis), **_scale(saved, axis)} for axis in "yx"}
    same = {axis: zoo.SizeReference(tensor_id=source, axis_id=zoo.AxisId(axis)) for axis in axes}

    def tensor(kind: Any, name: Any, description: str, file: str, channels: list[str], sides: list[Any]) -> Any:
        return kind(
            id=name, description=description, test_tensor=at(source=place / file),
            axes=[zoo.BatchAxis(), zoo.ChannelAxis(channel_names=channels), *sides],
            data=zoo.IntervalOrRatioDataDescr(type="float32"),
        )  # fmt: skip

    return zoo.ModelDescr(
        name=_safe_name(name),
        description=(description or f"Predicts {', '.join(targets)} from {', '.join(sources)}.")[:500],
        documentation=at(source=place / "README.md"),
        inputs=[tensor(
            zoo.InputTensorDescr, source, "The source in its own units, as the microscope wrote it.", INPUT, sources,
            [zoo.SpaceInputAxis(size=size, **known) for known in axes.values()],
        )],
        outputs=[tensor(
            zoo.OutputTensorDescr, zoo.TensorId("prediction"),
            "The prediction in the units of the target; then, of an ensemble, its standard deviation.", OUTPUT, targets,
            [zoo.SpaceOutputAxisWithHalo(halo=net.reach, size=same[axis], **known) for axis, known in axes.items()],
        )],
        tags=["image-reconstruction", "2d", "pytorch", "unet", "fluorescence-light-microscopy", "uncertainty"],
        weights=_weights(place, given),
        config=zoo.Config(bioimageio=zoo.BioimageioConfig(reproducibility_tolerance=[tolerance])),
    )  # fmt: skip


def _weights(place: Path, given: dict[str, Any]) -> Any:
    zoo = required(SPEC)
    version = zoo.Version(torch.__version__.partition("+")[0])
    architecture = zoo.ArchitectureFromLibraryDescr(
        callable=zoo.Identifier(network.__name__), import_from=network.__module__, kwargs=given
    )
    return zoo.WeightsDescr(
        pytorch_state_dict=zoo.PytorchStateDictWeightsDescr(
            source=place / STATE, architecture=architecture, pytorch_version=version
        ),
        torchscript=zoo.TorchscriptWeightsDescr(
            source=place / SCRIPT, pytorch_version=version, parent="pytorch_state_dict"
        ),
    )


def _channel_names(saved: Saved, members: int) -> tuple[list[str], list[str]]:
    """Of what goes in and what comes out."""
    about, named = saved.about, []
    for role in ("source", "target"):
        known = getattr(about, role).channel_names
        numbers = getattr(about, f"{role}_channels")
        named.append([known[number] if number < len(known) else f"{role} {number + 1}" for number in numbers])
    doubts = [f"uncertainty of {name}" for name in named[1]] if members > 1 else []
    return named[0], named[1] + doubts


def _scale(saved: Saved, axis: str) -> dict[str, Any]:
    """Of a pixel; in single precision, as the zoo multiplies sizes by it, divides again, and wants whole numbers."""
    micrometres = saved.about.source.pixel_size.get(axis.upper())
    return {"scale": float(np.float32(micrometres)), "unit": "micrometer"} if micrometres else {}


def _safe_name(name: str) -> str:
    """Letters, digits, spaces, _ + - and brackets alone, 5 to 64 of them, as the zoo wants it."""
    plain = re.sub(r"[^A-Za-z0-9_+\-()]+", " ", name).strip()[:64]
    return plain if len(plain) >= 5 else f"model {plain}".strip()


def _readme(saved: Saved, name: str, description: str, members: int) -> str:
    about = saved.about
    parts = ", ".join(f"{len(names)} {part}" for part, names in about.names.items())
    doubt = (
        f"It is an ensemble of {members} networks; the channels after the prediction are their standard deviation, in "
        "the units of the target: where it is high, do not trust the prediction."
        if members > 1
        else "It is one network and says nothing of its uncertainty."
    )
    return (
        f"# {name}\n\n{description}\n\nTrained with trustworthy {__version__}. Give it source images as they are, "
        f"without normalisation; the answer is in the units of the target. {doubt}\n\n## Training\n\nPairs of images: "
        f"{parts}. Settings:\n\n```json\n{about.settings.model_dump_json(indent=1)}\n```\n\n## Validation\n\nCompare "
        "predictions with targets of your own microscope that the model has not seen: Pearson correlation, PSNR and "
        "SSIM beside those of the source itself, and the correlation of the uncertainty with the error.\n"
    )
