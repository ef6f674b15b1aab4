"""What a hardening says in the terminal: one line for each network, and which epoch was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trustworthy.report import findings, formatting, summary, terminal
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding
from trustworthy.uncertainty.ensembling import MEMBERS

if TYPE_CHECKING:
    from rich.table import Table

    from trustworthy.report.hardening.harden import Hardened

COLUMNS = (
    "accuracy",
    "NLL, nats",
    "attacked, single draws",
    "attacked, draws averaged",
    "training",
    "prediction of a row",
)


def table(hardened: Hardened) -> Table:
    """Accuracy, negative log likelihood, accuracy under attack, and cost of each network; a dash: not measured."""
    record, attacks = hardened.record, hardened.record.plan["attacks"]
    held = summary.under_attack(record)
    caption = (
        "NLL: mean of -log(confidence in the true class), smaller is better. Under attack: "
        f"within {attacks['linf']:.3g} (linf) in {record.data['units']}."
    )
    shown = terminal.table(record.title, "network", COLUMNS, caption)
    costs = _found(record, "robustness.defenses", ALL_MODELS)
    timed = {} if costs is None else {each["name"]: each["milliseconds"] for each in costs.series["models"]}
    for name, loaded in hardened.models.items():
        seconds, milliseconds = loaded.about.get("training", {}).get("seconds"), timed.get(name)
        shown.add_row(
            name, _value(_found(record, "accuracy", name)), _number(_found(record, "uncertainty.nll", name)),
            *_attacked(held.get(name)),
            formatting.NOTHING if seconds is None else formatting.duration(seconds),
            formatting.NOTHING if milliseconds is None else f"{formatting.number(milliseconds)} ms",
        )  # fmt: skip
    return shown


def _attacked(held: Finding | None) -> tuple[str, str]:
    """Accuracy under attack by the gradients of single draws, and by their means; a fixed network has the latter."""
    single = formatting.NOTHING
    if held is not None and held.kind == "randomness":
        single = formatting.percent(held.series["attacks"][0]["accuracy"])
    return single, _value(held)


def _found(record: AuditRecord, finding: str, model: str) -> Finding | None:
    return next((found for found in record.findings if (found.name, found.model) == (finding, model)), None)


def _number(finding: Finding | None) -> str:
    return formatting.NOTHING if finding is None or finding.value is None else formatting.number(finding.value)


def _value(finding: Finding | None) -> str:
    return formatting.NOTHING if finding is None else findings.value(finding)


def chosen_epochs(hardened: Hardened) -> list[str]:
    """Of each network that was trained whose epoch's weights it has, and what was measured there; of members each."""
    return [f"{name}: {_epochs(loaded.about['training'])}" for name, loaded in hardened.models.items() if loaded.about]


def _epochs(training: Mapping[str, Any]) -> str:
    of_members = [note for note in training.get("notes", ()) if note.startswith(MEMBERS)]
    if of_members:
        return of_members[-1].removesuffix(".")
    best, last = training["best"], training["last"]
    judged = list(best)[-1]  # what the epoch was chosen by
    chosen = f"epoch {best['epoch']} of {training['epochs']} was chosen by {judged.replace('_', ' ')}"
    return f"{chosen}, {formatting.percent(best[judged])}; after the last epoch {formatting.percent(last[judged])}"
