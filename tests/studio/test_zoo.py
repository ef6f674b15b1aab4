import zipfile

import numpy as np
import pytest
import torch

from trustworthy.core.predictive import predict
from trustworthy.nn import Translator, UNet
from trustworthy.nn.batch_ensemble import batch_ensemble
from trustworthy.nn.dropout import persist_dropout
from trustworthy.nn.ensemble import Ensemble
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.methods import network_of, recipe_of
from trustworthy.studio.training.saving import Saved, SavedModel, save_model
from trustworthy.studio.zoo import network, zoo_model, zoo_package


def saved_by(method, members=2):
    """A model of two channels to one, untrained but for the statistics of its batch normalisation."""
    settings = TrainingSettings(method=method, members=members, width=4, depth=3, patch=32)
    options = network_of(settings, 2, 1)
    nets = [UNet(**options) for _ in range(members)]
    for net in nets:
        net.train()(torch.randn(4, 2, 16, 16))
    inner = {
        "naive": lambda: Ensemble(nets),
        "batch": lambda: batch_ensemble(nets[0], members=members),
        "mc-dropout": lambda: persist_dropout(nets[0]),
    }[method]()
    image = Description(axes="CYX", shape=(3, 99, 33), dtype="uint16", pixel_size={"X": 0.1, "Y": 0.3})
    about = SavedModel(
        settings=settings, source=image, target=image, source_channels=(2, 0), target_channels=(1,), draws=members,
        names={"train": ("a", "b")}, seconds=1.0, versions={},
    )  # fmt: skip
    model = Translator(inner, [1000.0, 10.0], [300.0, 2.0], [5000.0], [900.0]).eval()
    return Saved(model, about), recipe_of(settings, options, members)


@pytest.mark.parametrize("method", ["naive", "batch"])
def test_answers_as_the_studio_does(method):
    saved, _ = saved_by(method)
    model, given = zoo_model(saved)
    x = 1000 + 300 * torch.randn(2, 2, 32, 16)
    studio = predict(saved.model, x)
    with torch.no_grad():
        mean, std = model(x).chunk(2, 1)
    np.testing.assert_allclose(mean, studio.mean, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(std, studio.std, rtol=1e-3, atol=1e-2)
    assert float(std.mean()) > 1
    assert network(**given).load_state_dict(model.state_dict())


def test_mc_dropout_gives_its_prediction_alone():
    saved, _ = saved_by("mc-dropout")
    model, _ = zoo_model(saved)
    x = torch.randn(1, 2, 16, 16)
    with torch.no_grad():
        assert model(x).shape == (1, 1, 16, 16)
        assert torch.equal(model(x), model(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of the zoo's package
@pytest.mark.parametrize("shape", [None, (3, 99, 33), (3, 300, 700)])
def test_the_package_passes_the_test_of_the_zoo(tmp_path, shape):
    pytest.importorskip("bioimageio.core", reason="the extra bio")
    saved, recipe = saved_by("naive")
    save_model(saved.model, tmp_path / "model", recipe, saved.about)
    sample = None if shape is None else np.random.default_rng(0).integers(0, 4000, shape)
    file = zoo_package(tmp_path / "model", tmp_path / "zoo.zip", name="µ: a", description="", sample=sample)
    with zipfile.ZipFile(file) as package:
        image = np.load(package.open("input.npy"))
        answer = np.load(package.open("output.npy"))
        script = torch.jit.load(package.open("weights.torchscript.pt"))
    if sample is not None:
        assert image[0, :, 10, 10].tolist() in sample[[2, 0]].transpose(1, 2, 0).reshape(-1, 2).tolist()
    assert answer.shape == (1, 2, *image.shape[2:])
    np.testing.assert_allclose(script(torch.from_numpy(image)).detach(), answer, rtol=1e-5, atol=1e-2)
    assert not list(tmp_path.glob(".*"))
