import pytest
import torch
from torch import nn

from trustworthy.core.errors import CheckpointError
from trustworthy.training import fit, load_weights, save_weights


def network(width=3, classes=2):
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, classes))


def filled(model):
    for value in model.state_dict().values():
        value.copy_(torch.arange(value.numel()).reshape(value.shape) + 1)
    return model


def same(model, other):
    return all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_weights_and_buffers_survive_the_file(tmp_path):
    source, copy = filled(network()), network()
    save_weights(source, tmp_path / "deep" / "weights.safetensors")
    assert not same(source, copy)
    load_weights(copy, tmp_path / "deep" / "weights.safetensors")
    assert same(source, copy)


def test_the_file_is_plain_safetensors(tmp_path):
    from safetensors.torch import load_file

    save_weights(filled(network()), tmp_path / "w.safetensors")
    assert set(load_file(tmp_path / "w.safetensors")) == set(network().state_dict())


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2, bias=False)
        self.b = nn.Linear(2, 2, bias=False)
        self.b.weight = self.a.weight
        self.register_buffer("scale", torch.tensor(2.0))
        self.low = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        self.column = nn.Parameter(torch.ones(3, 2).T)


def test_tied_scalar_half_and_transposed_weights_survive_and_stay_tied(tmp_path):
    source, copy = filled(Tied()), Tied()
    save_weights(source, tmp_path / "w.safetensors")
    load_weights(copy, tmp_path / "w.safetensors")
    assert same(source, copy)
    assert copy.a.weight is copy.b.weight
    assert copy.low.dtype == torch.bfloat16


def test_every_name_that_does_not_fit_is_listed_and_nothing_is_changed(tmp_path):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("0", nn.Linear(2, 5))
            self.add_module("head", nn.Linear(5, 2))

    save_weights(Other(), tmp_path / "w.safetensors")
    model = filled(network())
    with pytest.raises(CheckpointError) as refusal:
        load_weights(model, tmp_path / "w.safetensors")
    message = str(refusal.value)
    assert "missing in the file: 1.bias, 1.num_batches_tracked, 1.running_mean" in message
    assert "unknown to the model: head.bias, head.weight" in message
    assert "of another shape: 0.bias (file (5,), model (3,)), 0.weight (file (5, 2), model (3, 2))" in message
    assert same(model, filled(network()))


def test_a_long_list_of_names_is_cut(tmp_path):
    save_weights(nn.Linear(1, 1), tmp_path / "w.safetensors")
    many = nn.Sequential(*[nn.Linear(1, 1) for _ in range(10)])
    with pytest.raises(CheckpointError, match="and 12 more"):
        load_weights(many, tmp_path / "w.safetensors")


def test_weights_come_out_of_a_checkpoint_too(tmp_path):
    model = nn.Linear(2, 2)
    fit(model, (torch.rand(6, 2), torch.zeros(6, dtype=torch.long)), epochs=1, checkpoints=tmp_path)
    copy = nn.Linear(2, 2)
    load_weights(copy, next(tmp_path.glob("*.safetensors")))
    assert same(model, copy)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None])
def test_a_file_that_is_not_safetensors_is_refused(content, tmp_path):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a file" if content is None else "cannot be read as safetensors"):
        load_weights(network(), path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_read_and_nothing_else_of_torch_save(zipped, tmp_path):
    model, copy, path = network(), network(), tmp_path / "w.pt"
    torch.save(model, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"write the weights alone: torch.save\(model.state_dict\(\), path\)"):
        load_weights(copy, path)
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=zipped)  # the remedy
    with torch.no_grad():
        next(iter(copy.parameters())).add_(1.0)
    load_weights(copy, path)
    assert same(model, copy)
    torch.save({"weights": model.state_dict()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="must hold tensors by name"):
        load_weights(copy, path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not be written"):
        save_weights(network(), tmp_path / "file" / "w.safetensors")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(filled(network()), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trustworthy.core.files.os.fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*unchanged"):
        save_weights(network(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Stateful(nn.Linear):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


def test_state_that_is_not_a_tensor_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="_extra_state of the model is dict"):
        save_weights(Stateful(1, 1), tmp_path / "w.safetensors")
