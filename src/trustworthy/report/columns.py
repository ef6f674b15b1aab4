"""What each column of a table is and which values it may take: guessed from rows and models, or as the plan says.

`audit` makes categories of codes before it draws examples, `rows` takes the `Feature`s, `domain` attacks by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets import Dataset
from trustworthy.datasets.columns import Column, Kind
from trustworthy.datasets.tables import found_column
from trustworthy.report.settings import Section

ENCODERS = {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}
"""Of scikit-learn and of category_encoders: what they are fitted on are categories."""
_KEEP_PLACES = {"SimpleImputer"}


def _ends(given: Any) -> Any:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise PydanticCustomError("range", "must be the lowest and the highest value, such as [0, 120]")
    return given


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise PydanticCustomError("range", "must have its lowest value below its highest; swap or correct them")
    return ends


class ColumnPlan(Section):
    """What the plan says of one column; what it leaves out is guessed.

    kind : where the guess is wrong; "category" holds a column of codes, "numeric" moves whole numbers by fractions.
    range : lowest and highest value that an adversary may set; inf where there is no limit.
    step : size of a step, counted from the value of each row, in the unit of the column.
    immutable : whether no adversary may change it.
    unit : that its values are shown with.
    """

    kind: Literal["numeric", "integer", "category"] | None = None
    range: Annotated[tuple[float, float], BeforeValidator(_ends), AfterValidator(_ascending)] | None = None
    step: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    immutable: bool = False
    unit: str = ""


Plans = Mapping[str, ColumnPlan]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column as an adversary meets it.

    kind : as `Column.kind`.
    low, high : range of a quantity, in its unit; `given` by the plan, or observed in the rows.
    step : 0 for a quantity that moves continuously.
    whole : whether all its values are, those that it may move to as well.
    immutable : whether nobody may change it, or there is but one value.
    """

    name: str
    kind: Kind
    low: float = -np.inf
    high: float = np.inf
    given: bool = False
    step: float = 0.0
    whole: bool = False
    immutable: bool = False
    unit: str = ""

    @property
    def is_quantity(self) -> bool:
        """Whether it is moved by attacks that move numbers."""
        return self.kind in ("numeric", "integer")

    def described(self, spread: float) -> dict[str, Any]:
        """What `findings.json` says of it; `spread` is its standard deviation."""
        said: dict[str, Any] = {"name": self.name, "kind": self.kind, "immutable": self.immutable}
        if self.is_quantity:
            ends = [end if np.isfinite(end) else None for end in (self.low, self.high)]
            source = "given" if self.given else "observed"
            said |= {"range": ends, "range_is": source, "step": self.step, "standard_deviation": spread}
        return said | ({"unit": self.unit} if self.unit else {})


def column_name(names: tuple[str, ...], place: int) -> str:
    """Name of a column, or its number where it has none."""
    return names[place] if place < len(names) else f"feature {place}"


def with_categories(
    dataset: Dataset, plans: Plans, models: Iterable[Any] = ()
) -> tuple[Dataset, dict[str, ColumnPlan]]:
    """Make categories of the numbers that are codes: of which the plan says so, and those that a model encodes.

    Returns the data set, whose frame has such columns as categories of the values seen, and the plans with the guess.
    """
    if len(dataset.shape) != 1:
        if plans:
            raise InvalidInput(
                f"plan key columns.{next(iter(plans))} describes a column of a table, and {dataset.name} holds "
                "none; leave the section [columns] out."
            )
        return dataset, {}
    names = [column_name(dataset.feature_names, place) for place in range(dataset.shape[0])]
    for name in plans:
        found_column("plan key columns", name, names)
    found = dict(plans)
    for name in {name for model in models for name in _encoded(model, names)}:
        said = found.get(name, ColumnPlan())
        found[name] = said.model_copy(update={"kind": said.kind or "category"})
    for place, column in enumerate(dataset.columns):
        if column.kind in ("numeric", "integer") and (said := found.get(str(column.name))) and said.kind == "category":
            dataset = _recoded(dataset, place)
    return dataset, found


def _encoded(model: Any, names: list[str]) -> list[str]:
    """Those of the columns `names` that a fitted pipeline of scikit-learn encodes as categories, as it says itself."""
    from trustworthy.models.names import names_of

    model = getattr(model, "best_estimator_", model)
    places: set[int] = set()
    for step in _steps(model):
        for name, part, _ in getattr(step, "transformers_", ()):
            if any(type(inner).__name__ in ENCODERS for inner in _steps(part)):
                places |= set(step._transformer_to_input_indices[name])
        if type(step).__name__ in ENCODERS:
            places |= set(range(step.n_features_in_))
        if type(step).__name__ not in _KEEP_PLACES:
            break
    known = names_of(model) or (names if getattr(model, "n_features_in_", None) == len(names) else [])
    encoded = {known[place] for place in places if known}
    return [name for name in names if name in encoded]


def _steps(model: Any) -> list[Any]:
    return [step for _, step in model.steps] if hasattr(model, "steps") else [model]


def _recoded(dataset: Dataset, place: int) -> Dataset:
    """The data set with the numbers of one column as the indices of categories, all those that it has."""
    column, parts = dataset.columns[place], (dataset.x_train.copy(), dataset.x_test.copy())
    values = np.unique(np.concatenate([part[:, place] for part in parts]))
    values = values[~np.isnan(values)]
    for part in parts:
        part[:, place] = np.where(np.isnan(part[:, place]), np.nan, np.searchsorted(values, part[:, place]))
    categories = tuple((values.astype(np.int64) if column.kind == "integer" else values).tolist())
    columns = list(dataset.columns)
    columns[place] = Column(name=column.name, kind="category", categories=categories, dtype=column.dtype)
    return replace(dataset, x_train=parts[0], x_test=parts[1], columns=tuple(columns))


def _is_code(dataset: Dataset, place: int) -> bool:
    """Whether a column of categories was made of numbers, which the plan may say that they are."""
    if not dataset.columns:  # arrays
        return True
    column = dataset.columns[place]
    return {*map(type, column.categories)} <= {int, float} and not hasattr(column.dtype, "categories")


def features_of(dataset: Dataset, plans: Plans) -> tuple[Feature, ...]:
    """What each column of a table is, and which values it may take.

    Raises
    ------
    InvalidInput : the plan says of a column what it or its rows contradict, or leaves nothing to move.
    """
    x = np.concatenate([np.asarray(part, np.float64) for part in (dataset.x_train, dataset.x_test) if len(part)])
    features = []
    for place in range(x.shape[1]):
        name = column_name(dataset.feature_names, place)
        known: Kind | None = dataset.columns[place].kind if dataset.columns else None
        features.append(_feature(dataset, plans.get(name, ColumnPlan()), place, known, x[:, place]))
    if plans and all(feature.immutable for feature in features):
        raise InvalidInput(
            f"plan key columns makes all {len(features)} columns immutable, and nothing is left to attack; free one."
        )
    return tuple(features)


def _feature(
    dataset: Dataset, plan: ColumnPlan, place: int, known: Kind | None, x: Float64[np.ndarray, " n"]
) -> Feature:
    name = column_name(dataset.feature_names, place)
    key, present = f"plan key columns.{name}", x[~np.isnan(x)]
    is_whole = bool(len(present)) and bool((present == np.round(present)).all())
    kind = _kind(dataset, key, plan, known or ("integer" if is_whole else "numeric"), x)
    needless = [part for part in ("range", "step") if getattr(plan, part) is not None]
    if kind in ("category", "boolean"):
        needless += ["unit"] * bool(plan.unit)
        was_numbers = plan.kind is not None and _is_code(dataset, place)
        remedy = "leave it out, or say kind = 'numeric'" if was_numbers else "leave it out"
        if needless:
            raise InvalidInput(
                f"{key}.{needless[0]} has no sense for a column of categories, got {getattr(plan, needless[0])!r}; "
                f"{remedy}."
            )
        return Feature(name=name, kind=kind, immutable=plan.immutable)
    if plan.immutable and needless:
        raise InvalidInput(
            f"{key}.{needless[0]} says how an immutable column moves, got {getattr(plan, needless[0])!r}; leave out "
            "one of the two."
        )
    low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
    if plan.range is not None:
        outside = (x < plan.range[0]) | (x > plan.range[1])
        if outside.any():
            raise InvalidInput(
                f"{key}.range must hold the values of all rows, got {list(plan.range)}, but "
                f"{_row(dataset, outside, x)}; widen it, or correct or leave out such rows."
            )
        low, high = plan.range
    step = plan.step or (1.0 if kind == "integer" else 0.0)
    return Feature(
        name=name, kind=kind, low=low, high=high, given=plan.range is not None, step=step,
        whole=is_whole and step > 0 and step.is_integer(), immutable=plan.immutable or low == high, unit=plan.unit,
    )  # fmt: skip


def _kind(dataset: Dataset, key: str, plan: ColumnPlan, guessed: Kind, x: Float64[np.ndarray, " n"]) -> Kind:
    if plan.kind is None or plan.kind == guessed or (plan.kind, guessed) == ("category", "boolean"):
        return guessed
    if guessed in ("category", "boolean"):
        held = "words or categories" if guessed == "category" else "truth values"
        raise InvalidInput(
            f"{key}.kind must be 'category' for a column of {held}, got {plan.kind!r}; leave it out, or make "
            "numbers of the column."
        )
    if plan.kind == "integer" and (broken := ~np.isnan(x) & (x != np.round(x))).any():
        raise InvalidInput(
            f"{key}.kind must be 'numeric' for a column with fractions, got 'integer', but {_row(dataset, broken, x)}; "
            "leave it out, or give a step."
        )
    return plan.kind


def _row(dataset: Dataset, chosen: Bool[np.ndarray, " n"], x: Float64[np.ndarray, " n"]) -> str:
    """The first of the `chosen` rows, training rows before test rows, with its number in the source and its value."""
    place = int(chosen.argmax())
    row = place - len(dataset.x_train)
    if row < 0:
        return f"training row {place} has {x[place]:g}"
    return f"row {row if dataset.rows is None else int(dataset.rows[row])} has {x[place]:g}"
