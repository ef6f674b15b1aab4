"""Networks in folders: the same answers to the last bit, wherever they are read, and nothing half-written."""

import json
import shutil
import sys

import pytest
import torch

from trustworthy.core.errors import CheckpointError, DataError, InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.models import LoadedModel, Recipe, adapt, load_model, save_posterior
from trustworthy.nn import TRANSFORMS
from trustworthy.nn.backbones import MLP

MLP_OF_HOUSE = "trustworthy.nn.backbones:MLP"
OPTIONS = {"features": 3, "classes": 2, "hidden": (4,)}
OWN = """import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, wide=4, frozen=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, wide), nn.ReLU(), nn.Dropout(), nn.Linear(wide, 2))
        self.register_buffer("projection", torch.rand(3), persistent=not frozen)

    def forward(self, x):
        return self.layers(x * self.projection)
"""
X = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))


def recipe(*transforms, **options):
    return Recipe(MLP_OF_HOUSE, OPTIONS | options, transforms)


def saved(folder, *transforms):
    """A network of the house in a folder."""
    model = recipe(*transforms).build()
    save_posterior(model, folder, recipe(*transforms))
    return model


def answers(model, x=X):
    return predict(model, x, draws=3, generator=torch.Generator().manual_seed(1)).members


def edited(folder, **words):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | words))


STEPS = [
    [],
    [("add_noise", {"sigma_init": 0.3, "p": 0.5})],
    [("bound_relu", {"high": 0.4}), ("add_noise", {})],
]


@pytest.mark.parametrize(
    ("steps", "dtype"), list(zip(STEPS, [torch.float32, torch.float64, torch.float32], strict=True)), ids=str
)
def test_a_saved_network_answers_as_before_to_the_last_bit(tmp_path, steps, dtype):
    model = recipe(*steps).build().to(dtype)
    about = {"method": "rse", "seconds": 1.5, "accuracy": [0.5, None]}
    save_posterior(model, tmp_path / "kept", recipe(*steps), about)
    loaded = load_model(tmp_path / "kept")
    assert torch.equal(answers(loaded.model, X.to(dtype)), answers(model, X.to(dtype)))
    assert (loaded.name, loaded.about, loaded.recipe) == ("kept", about, recipe(*steps))
    assert not any(module.training for module in loaded.model.modules())
    again = LoadedModel(model=loaded.model, name="", source="", recipe=loaded.recipe)
    save_posterior(again.model, tmp_path / "again", again.recipe)
    assert torch.equal(answers(load_model(tmp_path / "again").model, X.to(dtype)), answers(model, X.to(dtype)))


NEEDED = {"ensemble": {"members": 2}, "translate": {"target_channels": 2}}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_of_the_house_is_kept(tmp_path, name):
    (tmp_path / "own.py").write_text(OWN)
    own = Recipe(f"{tmp_path / 'own.py'}:Net", {}, ((name, NEEDED.get(name, {})),))
    model = own.build(trust=True)
    save_posterior(model, tmp_path, own)
    assert torch.equal(answers(load_model(tmp_path, trust=True).model), answers(model))


def test_the_global_stream_does_not_move(tmp_path):
    model, state = recipe().build(), torch.get_rng_state()
    save_posterior(model, tmp_path, recipe())
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_folder_with_its_factory_inside_can_be_moved(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "own.py").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    of_file = Recipe("one/own.py:Net", {"wide": 5}, (("add_noise", {}),))
    model = of_file.build(trust=True)
    save_posterior(model, "one", of_file)
    shutil.move("one", "two")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert torch.equal(answers(load_model("../two", trust=True).model), answers(model))


def test_a_factory_outside_is_found_from_another_working_directory(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    model = Recipe("own.py:Net").build(trust=True)
    save_posterior(model, "kept", Recipe("own.py:Net"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert torch.equal(answers(load_model("../kept", trust=True).model), answers(model))


def test_code_of_others_runs_only_with_trust(tmp_path):
    (tmp_path / "own.py").write_text(OWN + f"\nopen({str(tmp_path / 'ran')!r}, 'w').close()\n")
    own = Recipe(f"{tmp_path / 'own.py'}:Net")
    with pytest.raises(InvalidInput, match=r"own.py:Net is code .*trust=True"):
        own.build()
    save_posterior(own.build(trust=True), tmp_path, own)
    (tmp_path / "ran").unlink()
    with pytest.raises(InvalidInput, match=r"a saved model that is built by \S+own.py:Net.*add --trust"):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        ("trustworthy.models.factory:build_model", {"spec": "os:getcwd"}),
        ("trustworthy.models.pickles:load_pickle", {"path": "m.pkl", "trust": True}),
        ("trustworthy.nn.transforms:Callable", {}),  # stands there, and is not of the house
        ("trustworthy.nnother:net", {}),
        ("trustworthy.models.word_classifier:Recipe", {"factory": "os:getcwd"}),
    ],
)
def test_what_else_the_package_can_call_needs_trust_too(tmp_path, factory, options):
    saved(tmp_path)
    edited(tmp_path, factory=factory, options=options)
    with pytest.raises(InvalidInput, match="add --trust"):
        load_model(tmp_path)


def test_a_script_that_names_itself_is_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("raise RuntimeError('it runs again')")
    main = type(sys)("__main__")
    main.__file__, main.net = str(tmp_path / "train.py"), lambda: MLP(features=3, classes=2)
    monkeypatch.setitem(sys.modules, "__main__", main)
    own = Recipe(f"{tmp_path / 'train.py'}:net")
    save_posterior(own.build(trust=True), tmp_path / "kept", own)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (recipe(("add_noise", {"sigma_inner": 0.3})), r"layers.3.noise is GaussianNoise\(sigma=0.1\), the .*sigma=0.3"),
        (recipe(), r"layers.1.noise is GaussianNoise\(sigma=0.2\), the recipe builds none"),
        (recipe(("add_noise", {}), ("bound_relu", {})), r"layers.2 is ReLU\(\), the recipe builds BoundedReLU"),
    ],
)
def test_a_recipe_of_another_network_is_refused(tmp_path, made, said):
    model = recipe(("add_noise", {})).build()
    with pytest.raises(InvalidInput, match=rf"recipe must build the network that is saved, and differs: {said}"):
        save_posterior(model, tmp_path / "kept", made)
    with pytest.raises(CheckpointError, match=r"do not fit the model: of another shape: layers.1.bias .*Build the"):
        save_posterior(model, tmp_path / "kept", recipe(("add_noise", {}), hidden=(5,)))
    assert not (tmp_path / "kept").exists()


def test_random_state_that_the_weights_do_not_hold_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    for frozen in (False, True):
        own = Recipe(f"{tmp_path / 'own.py'}:Net", {"frozen": frozen})
        model = own.build(trust=True)
        if frozen:
            with pytest.raises(InvalidInput, match=r"projection is .*not in its state_dict, the factory must make"):
                save_posterior(model, tmp_path / "kept", own)
        else:
            save_posterior(model, tmp_path / "kept", own)


@pytest.mark.parametrize("failing", ["model.safetensors", "model.json"])
def test_a_full_disk_leaves_the_model_that_was_there(tmp_path, monkeypatch, failing):
    model = saved(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    class Full:
        def write(self, content):
            if isinstance(content, bytes):  # texts are few: they wait in memory
                self.flush()

        def flush(self):
            raise OSError(28, "No space left on device")

    from trustworthy.core.files import atomic_write as real

    class Writing:
        def __init__(self, path, mode="w"):
            self.inner, self.full = real(path, mode), path.name == failing

        def __enter__(self):
            stream = self.inner.__enter__()
            return Full() if self.full else stream

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr("trustworthy.models.posterior_folder.atomic_write", Writing)
    monkeypatch.setattr("trustworthy.training.weights.atomic_write", Writing)
    with pytest.raises(
        CheckpointError, match=r"could not be written \(No space left on device\); what was there before"
    ):
        save_posterior(recipe().build(), tmp_path, recipe())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert torch.equal(answers(load_model(tmp_path).model), answers(model))


def test_weights_of_another_save_are_not_taken(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b")
    shutil.copy(tmp_path / "a" / "model.safetensors", tmp_path / "b")
    with pytest.raises(DataError, match=r"other weights than model.json was written for; save the model again"):
        load_model(tmp_path / "b")


def test_a_saved_model_is_asked_like_any_other(tmp_path):
    model = saved(tmp_path, ("add_noise", {}))
    adapted = adapt(load_model(tmp_path).model, X)
    assert torch.equal(answers(adapted.model), answers(model))
    with pytest.raises(InvalidInput, match="--weights goes with a function"):
        load_model(tmp_path, weights="w.pt")


def test_what_is_no_recipe_is_refused():
    assert Recipe(MLP_OF_HOUSE, {"hidden": (4, 4)}).options == {"hidden": [4, 4]}
    with pytest.raises(ModelContractError, match="must give a torch module, got Namespace; return the network"):
        Recipe("argparse:Namespace").build(trust=True)
