"""`trustworthy audit`: measure models, write the report, and fail where they fall short."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustworthy.cli import options
from trustworthy.cli.data import tell_data
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import shares

if TYPE_CHECKING:
    from trustworthy.models import LoadedModel
    from trustworthy.report.finding import AuditRecord
    from trustworthy.report.gate import Limit, Outcome
    from trustworthy.report.pairing import Kept

GATE_CLOSED, CANNOT_TELL = 1, 3


def audit(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]MODEL...",
            help="A file (.joblib, .pkl, .skops, .onnx, .pt, .pt2), a folder of a saved or of a "
            "Hugging Face model, package.module:factory or path/to/file.py:factory; several are compared.",
        ),
    ],
    data: options.Data,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")],
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Weights (.safetensors, or a state_dict), once for each MODEL in the same order."
        ),
    ] = None,
    label: options.Label = None,
    train: Annotated[
        str | None, typer.Option(metavar="FILE|FOLDER", help="Training rows: what a typical change of a column is.")
    ] = None,
    drop: options.Drop = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column that says which rows belong together: accuracy for each of them."),
    ] = None,
    size: options.Size = None,
    trust: options.Trust = False,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="quick, standard (default) or thorough.")] = None,
    plan: options.Plan = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Test rows, 0 for all; default by the plan.")] = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    fail_under: options.FailUnder = None,
    baseline: options.Baseline = None,
    strict: options.Strict = False,
    junit: options.Junit = None,
    sarif: options.Sarif = None,
    markdown: options.Markdown = None,
    card: options.Card = None,
    annex_iv: options.AnnexIv = None,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "",
    threads: options.Threads = None,
) -> None:
    """Measure how far MODEL can be depended on, and write findings.json and report.html.

    An interrupted audit goes on where it stopped when the same command is given again.
    """
    names, trailing = split_limits(models, gated=bool(fail_under))
    typer.echo(f"reading {' and '.join(names)} ...", err=True)  # before what follows, which takes seconds to import
    from trustworthy.report.gate import parse_limits
    from trustworthy.report.pairing import load
    from trustworthy.report.plan import make_plan
    from trustworthy.report.renderings import check
    from trustworthy.report.rows import read_data

    limits = parse_limits([*(fail_under or []), *trailing])
    chosen = make_plan(profile, plan)
    earlier = load(baseline) if baseline else None  # before the audit, which may write into the same folder
    set_threads(threads)
    loaded, files = _load(names, weights or [], trust), options.wanted(junit, sarif, markdown, card, annex_iv)
    check(files, list(loaded))
    rows = chosen.rows if limit is None else checks.integer("limit", limit, at_least=0)
    given: Any = {"label": label, "train": train, "drop": options.columns_of(drop), "group": group, "size": size}
    dataset = read_data(data, rows, seed, **given)
    tell_data(dataset)
    record = measure(loaded, dataset, out, plan=chosen, limit=limit, seed=seed, device=device, title=title)
    finish(record, out, limits, files, strict=strict, baseline=baseline, earlier=earlier)


def finish(
    record: AuditRecord,
    out: Path,
    limits: list[Limit],
    files: dict[str, Path],
    *,
    strict: bool,
    baseline: Path | None,
    earlier: Kept | None,
) -> None:
    """Judge an audit, write its renderings, say which limits are not met and what got worse, and exit accordingly."""
    from trustworthy.report.gate import judge
    from trustworthy.report.pairing import load
    from trustworthy.report.renderings import write

    outcomes = judge(record, limits)
    worse = [] if earlier is None else _got_worse(earlier, load(out), baseline)
    write(out, record, [*outcomes, *worse], files, strict=strict)
    for name, path in files.items():
        typer.echo(f"{name.replace('_', '-')}: {path}")
    fails, unclear = ([o.phrase for o in outcomes if o.status == status] for status in ("fails", "cannot tell"))
    if fails:
        typer.secho(f"falls short: {'; '.join(fails)}.", fg="red", err=True)
    if unclear:
        counts = "it counts as a failure" if strict else "--strict makes it a failure"
        typer.secho(f"cannot tell: {'; '.join(unclear)}. {counts.capitalize()}.", fg="yellow", err=True)
    if fails or worse or (unclear and strict):
        raise typer.Exit(GATE_CLOSED)
    if unclear:
        raise typer.Exit(CANNOT_TELL)


def _got_worse(earlier: Kept, now: Kept, baseline: Path | None) -> list[Outcome]:
    """What got worse than in the earlier audit by more than chance explains, as limits that fail; it is named."""
    from trustworthy.report.comparison import compare
    from trustworthy.report.gate import Limit, Outcome

    comparison = compare(earlier, now)
    of = {
        status: [c for c in comparison.changes if c.status == status] for status in ("better", "worse", "cannot tell")
    }
    if left_out := [*comparison.left_out, *(change.phrase for change in of["cannot tell"])]:
        typer.secho(f"not compared with {baseline}: {'; '.join(left_out)}.", fg="yellow", err=True)
    if not comparison.changes:
        raise InvalidInput(f"--baseline {baseline} has no finding that can be compared; audit the baseline anew.")
    told = f"{len(comparison.changes)} findings compared with {baseline}"
    typer.echo(f"baseline: {told}, {len(of['better'])} better, {len(of['worse'])} worse")
    if comparison.unpaired:
        typer.echo(f"not from pairs of rows: {'; '.join(comparison.unpaired)}")
    worse = [
        Outcome(Limit(c.after.name, c.before.value or 0.0, str(baseline)), c.after.model, c.after, "fails", c.phrase)
        for c in of["worse"]
    ]
    if worse:
        typer.secho(f"worse than {baseline}: {'; '.join(outcome.phrase for outcome in worse)}.", fg="red", err=True)
    return worse


def split_limits(models: list[str], *, gated: bool) -> tuple[list[str], list[str]]:
    """Models and limits: in `--fail-under a=1 b=2` the shell's second limit arrives among the models."""
    limits = [text for text in models if gated and "=" in text and ":" not in text]
    names = [text for text in models if text not in limits]
    if not names:
        raise typer.BadParameter("at least one MODEL is needed.", param_hint="MODEL")
    return names, limits


def _load(models: list[str], weights: list[Path], trust: bool) -> dict[str, LoadedModel]:
    """The models by name: what stands before `=`, else that of the file or factory, else the whole text."""
    from trustworthy.models import load_model

    if weights and len(weights) != len(models):
        raise InvalidInput(f"--weights must be given once for each of the {len(models)} models, got {len(weights)}.")
    named = [_named(text) for text in models]
    files: list[Path | None] = [*weights] or [None] * len(models)
    loaded = [load_model(spec, trust=trust, weights=file) for (_, spec), file in zip(named, files, strict=True)]
    short = [name or model.name for (name, _), model in zip(named, loaded, strict=True)]
    names = short if len(set(short)) == len(short) else [name or spec for name, spec in named]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"every model must have a name of its own, got {name!r} twice; write NAME=MODEL: "
                f"{' '.join(f'model{place}={spec}' for place, (_, spec) in enumerate(named, 1))}."
            )
    return dict(zip(names, loaded, strict=True))


def _named(text: str) -> tuple[str, str]:
    """Name and place of `NAME=MODEL`; no name where the first `=` belongs to the path of a file."""
    name, equals, spec = text.partition("=")
    of_path = not equals or set(name) & set("/\\:") or Path(text.rpartition(":")[0]).is_file()
    return ("", text) if of_path or not name else (name, spec)


def measure(models: dict[str, Any], data: Any, out: Path, **given: Any) -> AuditRecord:
    """Audit with a progress display, write the report, print its summary, what matters most and where it is."""
    from trustworthy.report.audit import audit as run

    with shares() as tell:
        on_progress = lambda model, step, share: tell(f"{model}: {step}", share)  # noqa: E731
        record = run(models, data, out, command=command_line(), on_progress=on_progress, **given)
    show(record, out)
    return record


def show(record: AuditRecord, out: Path) -> None:
    """Print the summary of an audit, what matters most and where its page is."""
    from rich.console import Console
    from rich.text import Text

    from trustworthy.report.summary import foremost, summary_table

    console = Console()
    console.print(summary_table(record))
    for colour, line in foremost(record):
        console.print(Text(line, colour), soft_wrap=True)
    typer.echo(f"report: {out / 'report.html'}")


def idle_cores() -> int:
    """Cores that nothing has kept busy in the last minute, at least one; half of the cores where no system says it.

    Threads that wait for a core that other work holds make a run many times slower, and a core left idle helps nobody.
    """
    cores = os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else cores / 2
    return max(1, cores - round(busy))


def command_line() -> str:
    """The command that was given, as a shell takes it again."""
    program = Path(sys.argv[0]).name
    start = ["python", "-m", "trustworthy"] if program == "__main__.py" else [program]
    return shlex.join([*start, *sys.argv[1:]])


def set_threads(wanted: int | None) -> None:
    """Set torch's threads: `wanted`, else OMP_NUM_THREADS, else the cores that are idle."""
    import torch

    if wanted is not None:
        torch.set_num_threads(wanted)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(idle_cores())
