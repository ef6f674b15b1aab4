"""Networks in files of torch: equal answers, gradients, any number of rows, and what to do with weights alone."""

import io
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.models import adapt, load_model

X = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
FACTORY = "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))\n"


def net():
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x, z):
        return self.net(x) + z


def scripted(model, path):
    torch.jit.trace(model, X).save(path)


def exported(model, path, **dynamic):
    torch.export.save(torch.export.export(model, (X,), **dynamic), path)


def exported_for_any(model, path):
    exported(model, path, dynamic_shapes=({0: torch.export.Dim("rows")},))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("m.pt", scripted),
        ("m.pt2", exported_for_any),
        ("renamed.pt", exported),
        pytest.param("m.pt2", exported, marks=pytest.mark.slow),
    ],
)
def test_files_are_loaded_with_trust_and_answer_alike(tmp_path, name, save):
    model = net()
    save(model, tmp_path / name)
    with pytest.raises(InvalidInput, match="add --trust"):
        load_model(tmp_path / name)
    loaded = load_model(tmp_path / name, trust=True).model
    for count in (1, 5, 7, 20):  # the export for a fixed number has 7
        x = torch.rand(count, 3)
        torch.testing.assert_close(adapt(loaded, x).model(x), model(x))
    x = X.clone().requires_grad_()
    adapt(loaded, X).model(x)[:, 0].sum().backward()
    expected = torch.autograd.grad(model(y := X.clone().requires_grad_())[:, 0].sum(), y)[0]
    torch.testing.assert_close(x.grad, expected)


def test_an_export_with_two_inputs_lists_them(tmp_path):
    torch.export.save(torch.export.export(Two(), (X, torch.zeros(7, 4))), tmp_path / "m.pt2")
    with pytest.raises(InvalidInput, match=r"must have one input.*has 2: x \(7, 3\), z \(7, 4\)"):
        load_model(tmp_path / "m.pt2", trust=True)


@pytest.mark.parametrize("inside", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_alone_say_how_they_are_used_and_that_works(tmp_path, inside, prefix):
    model = net()
    path = tmp_path / "weights.pth"
    torch.save(inside({f"{prefix}{name}": value for name, value in model.state_dict().items()}), path)
    with pytest.raises(
        InvalidInput, match=r"weights and no network; .* package.module:factory --weights .*weights.pth"
    ):
        load_model(path)
    (tmp_path / "factory.py").write_text(FACTORY)
    loaded = load_model(f"{tmp_path / 'factory.py'}:net", weights=path)
    assert loaded.name == "net"
    assert torch.equal(loaded.model(X), model(X))


def test_safetensors_alone_say_how_they_are_used_and_that_works(tmp_path):
    model = net()
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    with pytest.raises(InvalidInput, match="--weights"):
        load_model(path)
    (tmp_path / "factory.py").write_text(FACTORY)
    assert torch.equal(load_model(f"{tmp_path / 'factory.py'}:net", weights=path).model(X), model(X))


def test_a_module_pickled_whole_says_how_to_save_it_and_both_ways_work(tmp_path):
    model, path = net(), tmp_path / "whole.pt"
    torch.save(model, path)
    for trust in (False, True):
        with pytest.raises(InvalidInput, match=r"pickled whole.*torch.save\(model.state_dict.*torch.export.save"):
            load_model(path, trust=trust)
    again = torch.load(path, weights_only=False)
    torch.save(again.state_dict(), tmp_path / "weights.pt")
    torch.export.save(torch.export.export(again, (X,)), tmp_path / "model.pt2")
    (tmp_path / "factory.py").write_text(FACTORY)
    by_weights = load_model(f"{tmp_path / 'factory.py'}:net", weights=tmp_path / "weights.pt").model
    assert torch.equal(by_weights(X), model(X))
    torch.testing.assert_close(load_model(tmp_path / "model.pt2", trust=True).model(X), model(X))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def test_no_code_of_a_pickle_runs(tmp_path):
    (tmp_path / "m.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(InvalidInput, match="cannot be read without running code"):
        load_model(tmp_path / "m.pt", trust=True)
    assert not (tmp_path / "ran").exists()


def test_an_export_can_run_code_which_is_why_it_needs_trust(tmp_path):
    exported(net(), tmp_path / "whole.pt2")
    bomb = io.BytesIO()
    torch.save(Bomb(tmp_path / "ran"), bomb)
    with zipfile.ZipFile(tmp_path / "whole.pt2") as whole, zipfile.ZipFile(tmp_path / "m.pt2", "w") as bad:
        for name in whole.namelist():
            content = whole.read(name)
            if name.endswith("weights_config.json"):
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true')
            bad.writestr(name, bomb.getvalue() if "/weight_" in name else content)
    with pytest.raises(InvalidInput, match="add --trust"):
        load_model(tmp_path / "m.pt2")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(DataError):
        load_model(tmp_path / "m.pt2", trust=True)
    assert (tmp_path / "ran").exists()
