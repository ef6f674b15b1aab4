import copy
from functools import partial

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.data import TensorDataset

from trustworthy.core.errors import InvalidInput, ModelContractError, TrainingDiverged
from trustworthy.training import Checkpoints, Constant, Cosine, Engine, Phases, cross_entropy, fit, load_weights
from trustworthy.training.data import BatchPlan

X = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
Y = torch.randint(2, (20,), generator=torch.Generator().manual_seed(1))
SGD = partial(torch.optim.SGD, lr=0.5)


def squared_error(model, batch, moment):
    x, y = batch
    return (model(x) - y).square().mean()


class Told:
    """A loss that checkpoints take for the same whatever it does."""

    def __init__(self, loss):
        self.loss = loss

    def __call__(self, model, batch, moment):
        return self.loss(model, batch, moment)

    def __repr__(self):
        return "Told()"


def by_hand(model, *, epochs, batch_size, optimizer, schedule, seed=0):
    """The loop, spelled out: what `fit` must do to the weights."""
    plan = BatchPlan(rows=len(X), batch_size=batch_size, epochs=epochs, seed=seed)
    built, phase, losses = optimizer(model.parameters()), 0, []
    rate = built.param_groups[0]["lr"]
    rows = [batch for epoch in range(epochs) for batch in plan.batches(epoch)]
    for step, batch in enumerate(rows):
        if schedule.phase(step, plan.steps) != phase:
            phase = schedule.phase(step, plan.steps)
            built = optimizer(model.parameters())
        built.param_groups[0]["lr"] = rate * schedule.factor(step, plan.steps)
        loss = nn.functional.cross_entropy(model(X[batch]), Y[batch])
        built.zero_grad()
        loss.backward()
        built.step()
        losses.append(float(loss.detach()) * len(batch))
    per_epoch = plan.steps_per_epoch
    return [sum(losses[e * per_epoch : (e + 1) * per_epoch]) / len(X) for e in range(epochs)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    epochs=st.integers(1, 4),
    batch_size=st.integers(1, 25),
    optimizer=st.sampled_from([SGD, partial(torch.optim.SGD, lr=0.1, momentum=0.9), partial(torch.optim.Adam, lr=0.1)]),
    schedule=st.sampled_from([Constant(), Cosine(warmup=0.3), Phases(lengths=(1, 1))]),
)
def test_the_loop_is_the_one_spelled_out(epochs, batch_size, optimizer, schedule):
    model = nn.Linear(3, 2)
    other = copy.deepcopy(model)
    history = fit(model, (X, Y), epochs=epochs, batch_size=batch_size, optimizer=optimizer, schedule=schedule)
    losses = by_hand(other, epochs=epochs, batch_size=batch_size, optimizer=optimizer, schedule=schedule)
    assert torch.equal(model.weight, other.weight)
    assert [record.loss for record in history.records] == pytest.approx(losses)
    assert [record.epoch for record in history.records] == list(range(1, epochs + 1))


def test_full_batch_gradient_descent_reaches_the_least_squares_solution():
    given = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = torch.linalg.qr(given - given.mean(0)).Q * 40**0.5  # all directions are learned at one pace
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 0.5
    model = nn.Linear(2, 1).double()
    optimizer = partial(torch.optim.SGD, lr=0.4, momentum=0.2)
    fit(model, (x, y), epochs=30, batch_size=40, loss=squared_error, optimizer=optimizer)
    assert_close(model.weight, torch.tensor([[1.0, -2.0]], dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(model.bias, torch.tensor([0.5], dtype=torch.float64), atol=1e-6, rtol=0)


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(x + 0.3 * torch.randn_like(x))


def trained(seed=0, **arguments):
    torch.manual_seed(5)
    model = Noisy()
    fit(model, (X, Y), epochs=2, batch_size=6, seed=seed, **arguments)
    return model.linear.weight


def test_the_seed_decides_everything_and_the_global_stream_is_given_back():
    first = trained()
    torch.manual_seed(99)
    torch.rand(3)
    assert torch.equal(first, trained())
    assert not torch.equal(first, trained(seed=1))
    torch.manual_seed(6)
    expected = torch.rand(2)
    torch.manual_seed(6)
    model = Noisy()
    torch.manual_seed(6)
    fit(model, (X, Y), epochs=1)
    assert torch.equal(torch.rand(2), expected)


def test_the_global_stream_is_given_back_after_an_error():
    before = torch.get_rng_state()
    model = Noisy()
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        fit(model, (X, Y), epochs=1, callbacks=[lambda model, history: 1 / 0])
    assert torch.equal(torch.get_rng_state(), before)


def test_no_stream_shifts_another():
    # What an evaluation, a callback or an augmentation draws changes nothing of the noise that the model sees.
    def idle_augmentation(batch, moment):
        torch.rand(5, generator=moment.generator)
        return batch

    alone = trained()
    assert torch.equal(alone, trained(validation=(X, Y)))
    assert torch.equal(alone, trained(callbacks=[lambda model, history: bool(torch.rand(7).sum() < 0)]))
    assert torch.equal(alone, trained(augment=idle_augmentation))


def test_augmentation_is_seen_by_the_loss_and_depends_on_the_seed():
    seen = []

    def loss(model, batch, moment):
        seen.append((batch[0].clone(), torch.rand(1, generator=moment.generator)))
        return cross_entropy(model, batch, moment)

    def augment(batch, moment):
        x, y = batch
        return x + torch.rand(len(x), 1, generator=moment.generator), y

    for seed in (0, 0, 1):
        fit(nn.Linear(3, 2), (X, Y), epochs=1, batch_size=10, loss=loss, augment=augment, seed=seed)
    first, _, again, again2, other, _ = seen
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], again2[1])
    assert not torch.equal(first[0], other[0])
    rows = BatchPlan(rows=20, batch_size=10, epochs=1, seed=0).batches(0)[0]
    shift = first[0] - X[rows]
    assert_close(shift, shift[:, :1].expand_as(shift))
    assert shift.std() > 0.1


def test_a_loss_may_attack_the_model_inside():
    # The gradient of the loss at x + 0.1 sign(grad_x) reaches the weights, the attack's own gradient does not.
    def adversarial(model, batch, moment):
        x, y = batch
        x = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), x)
        return nn.functional.cross_entropy(model((x + 0.1 * grad.sign()).detach()), y)

    model = nn.Linear(3, 2)
    other = copy.deepcopy(model)
    fit(model, (X, Y), epochs=1, batch_size=20, loss=adversarial, optimizer=SGD)
    rows = BatchPlan(rows=20, batch_size=20, epochs=1, seed=0).batches(0)[0]
    adversarial(other, (X[rows], Y[rows]), None).backward()
    assert_close(model.weight, other.weight - 0.5 * other.weight.grad)


def test_a_loss_and_an_augmentation_are_told_where_in_the_run_they_are():
    told = {"loss": [], "augment": []}

    def where(moment):
        return moment.step, moment.steps, moment.epoch, moment.rows

    def loss(model, batch, moment):
        told["loss"].append((*where(moment), torch.rand(1, generator=moment.generator).item()))
        return cross_entropy(model, batch, moment)

    def augment(batch, moment):
        told["augment"].append((*where(moment), torch.rand(1, generator=moment.generator).item()))
        return batch

    fit(nn.Linear(3, 2), (X, Y), epochs=2, batch_size=10, loss=loss, augment=augment)
    for name in told:
        assert [entry[:4] for entry in told[name]] == [(0, 4, 0, 20), (1, 4, 0, 20), (2, 4, 1, 20), (3, 4, 1, 20)]
    draws = [entry[4] for name in told for entry in told[name]]
    assert len(set(draws)) == 8  # each step and each of the two has its own stream


@pytest.mark.parametrize("accumulate", [2, 3, 40])
def test_a_batch_in_parts_takes_the_same_step(accumulate):
    def trained(accumulate):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        engine = Engine(accumulate=accumulate)
        history = fit(model, (X, Y), epochs=2, batch_size=7, optimizer=SGD, loss=loss, engine=engine)
        return torch.cat([p.flatten() for p in model.parameters()]), [record.loss for record in history.records]

    def loss(model, batch, moment):
        sizes.append(len(batch[0]))
        return cross_entropy(model, batch, moment)

    sizes = []
    whole, losses = trained(1)
    sizes.clear()
    parts, part_losses = trained(accumulate)
    assert_close(parts, whole, rtol=0, atol=1e-14)
    assert part_losses == pytest.approx(losses, abs=1e-14)
    assert max(sizes) == -(-7 // accumulate)
    assert sum(sizes) == 40


def test_gradients_that_a_loss_leaves_in_the_weights_are_not_of_the_step():
    def untidy(model, batch, moment):
        cross_entropy(model, batch, moment).backward()
        return cross_entropy(model, batch, moment)

    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(model.state_dict())
    fit(model, (X, Y), epochs=1, optimizer=SGD)
    fit(other, (X, Y), epochs=1, optimizer=SGD, loss=untidy)
    assert torch.equal(model.weight, other.weight)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_long_gradient_is_cut_to_the_norm_asked_for(scaled):
    def step(clip):
        accelerator = Accelerator()
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if scaled else None
        model = nn.Linear(3, 2)
        model.load_state_dict(start)
        fit(model, (X, Y), epochs=1, optimizer=SGD, engine=Engine(accelerator=accelerator, clip=clip))
        return torch.cat([(p - start[name]).flatten() / -0.5 for name, p in model.named_parameters()]).detach()

    start = copy.deepcopy(nn.Linear(3, 2).state_dict())
    gradient = step(None)
    long = float(gradient.norm())
    assert_close(step(long / 4), gradient / 4, rtol=1e-4, atol=1e-6)
    assert torch.equal(step(2 * long), gradient)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, row):
        return {"x": X[row], "y": Y[row]}


def stacked(items):
    return torch.stack([item["x"] for item in items]), torch.stack([item["y"] for item in items])


def test_collate_makes_batches_of_items_of_any_kind():
    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(model.state_dict())
    fit(model, Rows(), epochs=1, batch_size=6, collate=stacked)
    fit(other, (X, Y), epochs=1, batch_size=6)
    assert torch.equal(model.weight, other.weight)


def test_a_loss_gets_as_many_arrays_as_there_are():
    def weighted(model, batch, moment):
        x, y, weights = batch
        return (weights * nn.functional.cross_entropy(model(x), y, reduction="none")).mean()

    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(model.state_dict())
    keep = torch.arange(20) < 10
    fit(model, (X, Y, 2.0 * keep), epochs=1, loss=weighted, optimizer=SGD)
    fit(other, (X[keep], Y[keep]), epochs=1, optimizer=SGD)
    assert_close(model.weight, other.weight)
    with pytest.raises(InvalidInput, match="got 3 parts; write a loss that takes them all"):
        fit(model, (X, Y, 2.0 * keep), epochs=1)


def test_arrays_tensors_and_a_dataset_train_the_same():
    weights = []
    for data in [(X, Y), (X.double().numpy(), Y.numpy().astype(np.uint8)), TensorDataset(X, Y)]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        fit(model, data, epochs=2, batch_size=7)
        weights.append(model.weight)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_frozen_parameters_stay():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    fit(model, (X, Y), epochs=1)
    assert torch.equal(model[0].weight, before["0.weight"])
    assert not torch.equal(model[1].weight, before["1.weight"])


def test_the_model_trains_in_training_mode_and_ends_in_evaluation_mode():
    modes = []

    def loss(model, batch, moment):
        modes.append(model.training)
        return cross_entropy(model, batch, moment)

    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).eval()
    fit(model, (X, Y), epochs=2, batch_size=10, loss=loss, validation=(X, Y))
    assert modes == [True] * 4
    assert not any(module.training for module in model.modules())


def test_each_epoch_is_evaluated_and_told_to_the_callbacks():
    heard = []

    def callback(model, history):
        accuracy = float((model(X).argmax(1) == Y).float().mean())
        heard.append((len(history.records), history.steps, accuracy))

    history = fit(nn.Linear(3, 2), (X, Y), epochs=3, batch_size=5, validation=(X, Y), callbacks=[callback])
    assert heard == [(e, 4 * e, pytest.approx(history.records[e - 1].metrics["accuracy"])) for e in (1, 2, 3)]
    assert all(record.seconds > 0 for record in history.records)
    assert (history.resumed_from, history.stopped) == (None, False)


def test_metrics_of_the_users_choice():
    metrics = {"mse": lambda outputs, targets: float(np.square(outputs - targets).mean())}
    y = X.sum(1, keepdim=True)
    model = nn.Linear(3, 1)
    history = fit(model, (X, y), epochs=1, loss=squared_error, validation=(X, y), metrics=metrics)
    assert history.records[0].metrics["mse"] == pytest.approx((model(X) - y).square().mean().item(), rel=1e-5)


def test_a_callback_ends_the_run_and_a_stopped_run_stays_stopped(tmp_path):
    def stop(model, history):
        return len(history.records) == 2

    settings = {"epochs": 5, "callbacks": [stop], "checkpoints": tmp_path}
    assert len(fit(nn.Linear(3, 2), (X, Y), **settings).records) == 2
    again = fit(nn.Linear(3, 2), (X, Y), **settings)
    assert (len(again.records), again.stopped, again.resumed_from) == (2, True, 2)


def test_checkpoints_are_written_as_asked_and_old_ones_deleted(tmp_path):
    seen = []

    def loss(model, batch, moment):
        seen.append(sorted(int(path.stem.split("-")[1]) for path in tmp_path.glob("step-*")))
        return cross_entropy(model, batch, moment)

    checkpoints = Checkpoints(tmp_path, every=2, keep=3)
    fit(nn.Linear(3, 2), (X, Y), epochs=2, batch_size=4, loss=Told(loss), checkpoints=checkpoints)
    assert seen[:6] == [[], [], [2], [2], [2, 4], [2, 4, 5]]
    assert seen[6:] == [[4, 5, 6], [4, 5, 6], [5, 6, 8], [5, 6, 8]]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_run_interrupted_while_it_evaluates_loses_no_record(tmp_path):
    def run(metrics):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        settings = {"epochs": 2, "batch_size": 5, "checkpoints": Checkpoints(tmp_path, every=1)}
        return fit(model, (X, Y), validation=(X, Y), metrics=metrics, **settings)

    with pytest.raises(ZeroDivisionError):
        run({"accuracy": lambda outputs, targets: 1 / 0})
    history = run({"accuracy": lambda outputs, targets: 0.5})
    assert history.resumed_from == 3
    assert [(record.epoch, record.metrics) for record in history.records] == [
        (1, {"accuracy": 0.5}),
        (2, {"accuracy": 0.5}),
    ]


def not_finite_at(call, value=float("nan")):
    calls = 0

    def loss(model, batch, moment):
        nonlocal calls
        calls += 1
        right = cross_entropy(model, batch, moment)
        return right * value if calls == call else right

    return loss


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_before_the_update_and_keeps_the_last_checkpoint(value, tmp_path):
    model = nn.Linear(3, 2)
    with pytest.raises(
        TrainingDiverged, match=r"at step 4 of 10.*step-0000000002.safetensors; load_weights"
    ) as stopped:
        fit(
            model,
            (X, Y),
            epochs=5,
            batch_size=10,
            loss=Told(not_finite_at(4, value)),
            checkpoints=tmp_path,
        )
    assert "Lower the learning rate" in str(stopped.value)
    assert torch.isfinite(model.weight).all()
    load_weights(model, tmp_path / "step-0000000002.safetensors")


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    def loss(model, batch, moment):
        right = cross_entropy(model, batch, moment)
        # The root of zero is finite and its gradient is not.
        return right + (model.weight.sum() * 0).sqrt() if list(tmp_path.iterdir()) else right

    with pytest.raises(TrainingDiverged, match="a weight became NaN or infinite by step 2"):
        fit(nn.Linear(3, 2), (X, Y), epochs=3, batch_size=20, loss=Told(loss), checkpoints=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000001.safetensors"]


def test_the_loss_scale_of_half_precision_cancels_and_is_resumed(tmp_path):
    def scaled(epochs, folder):
        accelerator = Accelerator()
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
        model = nn.Linear(3, 2)
        model.load_state_dict(start)
        stop = [lambda model, history: len(history.records) == epochs]
        engine = Engine(accelerator=accelerator)
        fit(model, (X, Y), epochs=4, batch_size=10, engine=engine, checkpoints=folder, callbacks=stop)
        return model.weight, accelerator.scaler.get_scale()

    start = nn.Linear(3, 2).state_dict()
    plain = nn.Linear(3, 2)
    plain.load_state_dict(start)
    fit(plain, (X, Y), epochs=4, batch_size=10)
    weight, scale = scaled(4, tmp_path / "whole")
    assert torch.equal(weight, plain.weight)
    assert scale == 2.0**12  # grown at steps 3 and 6 of 8
    scaled(4, tmp_path / "twice")
    assert scaled(4, tmp_path / "twice")[1] == scale


def test_bfloat16_runs_the_loss_in_low_precision_and_keeps_the_weights():
    from accelerate.state import AcceleratorState

    seen = []

    def loss(model, batch, moment):
        logits = model(batch[0])
        seen.append(logits.dtype)
        return nn.functional.cross_entropy(logits, batch[1])

    model = nn.Linear(3, 2)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        engine = Engine(accelerator=Accelerator(mixed_precision="bf16"))
        history = fit(model, (X, Y), epochs=1, loss=loss, validation=(X, Y), engine=engine)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert seen == [torch.bfloat16]
    assert model.weight.dtype == torch.float32
    assert "accuracy" in history.records[0].metrics


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1"),
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"loss": lambda model, batch, moment: model(batch[0])}, r"got a tensor of shape \(20, 2\)"),
        ({"loss": lambda model, batch, moment: 1.0}, "loss must return one number as a tensor"),
        ({"loss": lambda model, batch, moment: torch.tensor(1.0)}, "differentiable in the weights"),
        ({"loss": nn.CrossEntropyLoss()}, "loss must be a function .* got CrossEntropyLoss"),
        ({"optimizer": lambda parameters: None}, "optimizer must be a function .* got NoneType"),
        ({"collate": torch.stack}, "collate is for the items of a torch Dataset, and data are arrays"),
    ],
)
def test_arguments_out_of_contract_are_refused(changed, message):
    with pytest.raises(InvalidInput, match=message):
        fit(nn.Linear(3, 2), (X, Y), **{"epochs": 1, **changed})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Checkpoints("run", every=0), "every must be >= 1"),
        (lambda: Checkpoints("run", keep=0), "keep must be >= 1"),
        (lambda: Engine(workers=-1), "workers must be >= 0"),
        (lambda: Engine(accumulate=0), "accumulate must be >= 1"),
        (lambda: Engine(clip=0.0), "clip must be > 0"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()


def test_a_model_without_anything_to_train_is_refused():
    with pytest.raises(ModelContractError, match="a parameter to train"):
        fit(nn.Linear(3, 2).requires_grad_(False), (X, Y), epochs=1)


def test_an_accelerator_that_accumulates_gradients_is_refused():
    with pytest.raises(InvalidInput, match=r"must not accumulate gradients, got 4 steps; use Engine\(accumulate"):
        fit(nn.Linear(3, 2), (X, Y), epochs=1, engine=Engine(accelerator=Accelerator(gradient_accumulation_steps=4)))


def test_a_checkpoint_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file/run of the checkpoints cannot be made"):
        fit(nn.Linear(3, 2), (X, Y), epochs=1, checkpoints=tmp_path / "file" / "run")
