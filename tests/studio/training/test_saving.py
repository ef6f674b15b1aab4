"""A model that is saved and loaded again, and what happens where it cannot be."""

from pathlib import Path

import pytest
import torch

from trustworthy.core.errors import DataError
from trustworthy.core.predictive import predict
from trustworthy.models import Recipe
from trustworthy.nn import Translator, UNet
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.saving import SavedModel, load_saved, save_model

OPTIONS = {"in_channels": 2, "out_channels": 1, "width": 4, "depth": 2}
RECIPE = Recipe("trustworthy.nn:UNet", OPTIONS, (("translate", {"source_channels": 2, "target_channels": 1}),))
ABOUT = SavedModel(
    settings=TrainingSettings(seed=5), draws=1, names={"train": ("a", "b")}, seconds=1.5, versions={"torch": "2"},
    source=Description(axes="CYX", shape=(3, 8, 8), dtype="uint8"), source_channels=(0, 2),
    target=Description(axes="YX", shape=(8, 8), dtype="uint16", pixel_size={"X": 0.1}), target_channels=(0,),
)  # fmt: skip


def _model() -> Translator:
    return Translator(UNet(**OPTIONS), [1.0, 2.0], [3.0, 4.0], [1000.0], [50.0]).eval()


def test_a_loaded_model_answers_as_before_and_knows_the_same(tmp_path: Path):
    model, x = _model(), torch.rand(1, 2, 9, 7)
    save_model(model, tmp_path / "model", RECIPE, ABOUT)
    saved = load_saved(tmp_path / "model", "cpu")
    assert torch.equal(predict(saved.model, x).mean, predict(model, x).mean)
    assert saved.about == ABOUT
    ABOUT.model_copy(update={"calibration": {"scale": 2.0}}).save(tmp_path / "model")
    assert load_saved(tmp_path / "model").about.calibration == {"scale": 2.0}


def test_nothing_is_left_of_a_model_that_cannot_be_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: SavedModel, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SavedModel, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(_model(), tmp_path / "model", RECIPE, ABOUT)
    assert not (tmp_path / "model").exists()


def test_a_folder_without_what_the_studio_knows_is_refused(tmp_path: Path):
    save_model(_model(), tmp_path / "model", RECIPE, ABOUT)
    (tmp_path / "model" / "studio.json").write_text("{}")
    with pytest.raises(DataError, match="train the model again"):
        load_saved(tmp_path / "model")
