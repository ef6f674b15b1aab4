"""Defended versions of a network, audited beside the one that they come from: the study behind `trustworthy harden`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import derived_seed
from trustworthy.core.study import alone
from trustworthy.models import LoadedModel
from trustworthy.models.posterior_folder import Recipe
from trustworthy.report.audit import OnProgress, audit, device_of
from trustworthy.report.finding import AuditRecord
from trustworthy.report.findings import KINDS
from trustworthy.report.hardening import EPOCHS
from trustworthy.report.hardening.methods import BEFORE, PLAIN, SCRATCH, PlainTraining, methods_of
from trustworthy.report.hardening.network import check_answers, network
from trustworthy.report.hardening.rows import parts, read_parted
from trustworthy.report.hardening.training import Trainer
from trustworthy.report.kind import Kind
from trustworthy.report.plan import Plan, make_plan, read_toml
from trustworthy.training.weights import redrawn
from trustworthy.uncertainty import Method

EOT = [1, 8, 64]
"""Draws that each gradient of the attacks on a stochastic network averages."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Hardened:
    """What `harden` leaves.

    models : the one to compare with first ("before", or "plain" where no weights were given), then those of each
        method; `about` of each says how it was trained.
    record : their audit.
    """

    models: dict[str, LoadedModel]
    record: AuditRecord

    @property
    def of_methods(self) -> AuditRecord:
        """The audit without the model that the others are compared with, for a gate."""
        first = next(iter(self.models))
        models = [model for model in self.record.models if model["name"] != first]
        findings = [finding for finding in self.record.findings if finding.model != first]
        return self.record.model_copy(update={"models": models, "findings": findings})


def plan_of(profile: str | None, changes: dict[str, Any] | str | Path | None, kinds: Sequence[Kind] = KINDS) -> Plan:
    """As `make_plan`; where no profile is named "quick", with gradients averaged over 64 draws on all of its rows.

    Several networks are audited, and stochastic ones asked many times: "standard" takes four times as long. On all
    rows, as this number is compared with that of fixed networks. Poisoned labels, which tell of the data and not of a
    defence, are left out.
    """
    given = read_toml(Path(changes)) if isinstance(changes, str | Path) else changes or {}
    plan = make_plan(profile or given.get("profile", "quick"), given, kinds=kinds)
    if profile or "profile" in given:
        return plan
    sections, changed = dict(plan), {}
    if "randomness" in sections and "randomness" not in given:
        changed["randomness"] = sections["randomness"].model_copy(update={"eot": EOT, "rows": plan.rows})
    if not given.keys() & {"poisoning", "skip"}:
        changed["skip"] = [kind.step for kind in kinds if kind.about == "data"]
    return plan.model_copy(update=changed)


def harden(
    model: Any,
    data: Any,
    out: str | Path | None = None,
    *,
    methods: str | Sequence[str] | Mapping[str, Method],
    weights: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    from_scratch: bool = False,
    epochs: int = EPOCHS,
    eps: float | None = None,
    label: str | None = None,
    train: Any = None,
    drop: Collection[str] = (),
    group: str | None = None,
    size: int | None = None,
    profile: str | None = None,
    plan: Plan | dict[str, Any] | str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    title: str = "",
    command: str = "",
    on_progress: OnProgress | None = None,
    kinds: Sequence[Kind] = KINDS,
) -> Hardened:
    """Train defended versions of a network, and audit all of them and the network on rows never trained on.

    Parameters
    ----------
    model : "package.module:factory" or "path/to/file.py:factory" that returns an `nn.Module` to logits (n, classes), or
        such a module. Of a factory that draws its weights, and without `weights`, a model "plain" is trained as usual;
        the defences begin at its weights, and are compared with it.
    data, label, train, drop, group, size : as `audit` takes them. Rows are trained on where the data have training
        rows, or `train` gives them; otherwise all rows are split, a quarter for the audit, and groups stay whole. Of
        the training rows 15 %, 1,000 at most, choose the epoch.
    out : folder of the report; the network of each method lies in a folder in it, for `models.load_model`, and its
        checkpoints. What was interrupted goes on where it stopped if it is started again with the same arguments, and
        ends with the same weights. None writes nothing.
    methods : names of `trustworthy.defenses.METHODS` and `trustworthy.uncertainty.METHODS`, or methods by names of
        their own. A fast ensemble grows from the network that the others begin with, unless from_scratch.
    weights : file of the weights of the network that the factory builds.
    options : arguments by name of the factory.
    recipe : how a module that was given is built again; needed for `out`.
    from_scratch : train from weights that are drawn anew, the same for each method.
    epochs : of each method that is given by its name, and of the plain model.
    eps : linf radius of the attacks in training and of the audit's summary, in its units: of images pixels in [0, 1],
        of tables standard deviations of each column. None for the plan's, or by the data.
    profile, plan, limit, title, command, kinds, device, seed : see `audit`; the profile is "quick" where none is named,
        and the seed is that of training too.
    on_progress : told the model, the step and the share of it that is done, from 0 to 1; after each epoch in training.

    Raises
    ------
    InvalidInput, DataError, CheckpointError : the message says what is wrong and what to do; before anything is trained
        where it can be known by then.

    Cost: of each method that of its training, and an audit of all models.
    """
    checks.integer("seed", seed, at_least=0)
    checks.integer("epochs", epochs, at_least=1)
    if eps is not None:
        checks.real("eps", eps, above=0.0)
    chosen = plan if isinstance(plan, Plan) else plan_of(profile, plan, kinds)
    net = network(model, weights, options or {}, recipe, seed)
    if out is not None and net.recipe is None:
        raise InvalidInput(
            "out needs to know how the network is built again; give model as 'path/to/file.py:factory', or the "
            "recipe=Recipe(factory, options), or leave out out."
        )
    where = device_of(device)
    given: Any = {"label": label, "train": train, "drop": drop, "group": group, "size": size}
    rows = parts(read_parted(data, chosen.rows, seed, **given), chosen.columns, net.model, seed)
    radius = eps or chosen.attacks.linf or rows.domain.headline("linf")
    chosen = chosen.model_copy(update={"attacks": chosen.attacks.model_copy(update={"linf": radius})})
    wanted = methods_of(methods, rows.domain, radius, epochs, trained=not from_scratch)
    check_answers(net.model, rows, where)
    trainer = Trainer(
        rows=rows, recipe=net.recipe, folder=None if out is None else Path(out), seed=seed, device=where, eps=radius,
        tell=on_progress or (lambda model, step, share: None),
    )  # fmt: skip
    for defense in wanted.values():
        trainer.check(defense, net.model)
    fresh = redrawn(net.model, derived_seed(seed, "weights")) if from_scratch and net.given else net.model
    with alone(trainer.folder, "hardening"):
        if net.given:
            first = LoadedModel(model=net.model, name=BEFORE, source=net.source)
        else:
            first = trainer.train(PLAIN, PlainTraining(epochs=epochs), fresh, SCRATCH)
        start, begin = (fresh, SCRATCH) if from_scratch else (first.model, first.name)
        others = {name: trainer.train(name, defense, start, begin) for name, defense in wanted.items()}
    models = {first.name: first, **others}
    record = audit(
        models, rows.dataset, out, plan=chosen, limit=limit, seed=seed, device=where, command=command,
        title=title or f"{net.name}, hardened: {', '.join(wanted)} on {rows.dataset.name}",
        on_progress=on_progress, kinds=kinds,
    )  # fmt: skip
    return Hardened(models=models, record=record)
