"""Classes and columns by name: what the model knows beside what the data have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from trustworthy.core.errors import InvalidInput, leaving_out

Label = str | bool | int | float


def plain(label: Any) -> Label:
    """A label as Python says it: of NumPy no longer, and whole where it is a whole float."""
    value = label.item() if hasattr(label, "item") else label
    return int(value) if isinstance(value, float) and value.is_integer() else value


def matched(of_model: Sequence[Any], of_data: Sequence[Any]) -> tuple[list[Label], list[int]]:
    """All classes in the order of the data, then those that only the model knows; and the model's column of each.

    1, 1.0, True and "1" are one name: a file of text and a model of numbers speak of the same classes.

    Raises
    ------
    InvalidInput : the data have a class that the model has never seen, or two that are one; both lists are shown.
    """
    model, data = [plain(label) for label in of_model], [plain(label) for label in of_data]
    by_value = {label: column for column, label in enumerate(model)}
    by_name = {_name(label): column for column, label in enumerate(model)}
    columns = [by_value.get(label, by_name.get(_name(label), -1)) for label in data]
    unseen = [label for label, column in zip(data, columns, strict=True) if column < 0]
    both = f"Classes of the model: {_listed(model)}; labels of the data: {_listed(data)}"
    if unseen:
        raise InvalidInput(
            f"the model has never seen the labels {_listed(unseen)} of the data. {both}. Give the column of "
            f"labels that it was fitted on, or leave those rows out.{_encoded(model, data)}"
        )
    if len(set(columns)) < len(columns):
        raise InvalidInput(f"two labels of the data are one class of the model. {both}. Write every class in one way.")
    rest = [column for column in range(len(model)) if column not in columns]
    return [*data, *(model[column] for column in rest)], [*columns, *rest]


def _encoded(model: list[Label], data: list[Label]) -> str:
    """What to do where the model was fitted on the numbers of all the labels, as classifiers of XGBoost are."""
    if sorted(model, key=str) != sorted(range(len(data)), key=str) or not all(isinstance(one, str) for one in data):
        return ""
    return (
        " If it was fitted on the numbers of a LabelEncoder, write these into the column: table[label] = "
        f"LabelEncoder().fit_transform(table[label]) gives {_listed(sorted(map(str, data)))} the numbers 0 to "
        f"{len(data) - 1}."
    )


def _name(label: Label) -> str:
    return str(label).strip()


def names_of(model: Any) -> list[str] | None:
    """Column names that an estimator was fitted with; None where it saw an array."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        names = getattr(model, "feature_names_", None)  # CatBoost
    if names is None or not len(names):
        return None
    listed = [str(name) for name in names]
    # LightGBM and CatBoost number the columns of an array.
    return None if all(re.fullmatch(r"(Column_)?\d+", name) for name in listed) else listed


def knows(model: Any, column: str) -> bool:
    """Whether an estimator was fitted with a column of this name."""
    return _column(column) in map(_column, names_of(model) or ())


def order_of(model: Any, columns: Sequence[str]) -> list[int]:
    """Which column of the data is each column of the model.

    Raises
    ------
    InvalidInput : a column that the model needs is not in the data, or the reverse, or their numbers differ.
    """
    wanted = names_of(model)
    if wanted is None:
        check_count(model, len(columns), columns)
        return list(range(len(columns)))
    place = {_column(name): index for index, name in enumerate(columns)}
    missing = [name for name in wanted if _column(name) not in place]
    known = {_column(name) for name in wanted}
    extra = [name for name in columns if _column(name) not in known]
    if missing or extra:
        problems = [f"the data lack {_listed(missing)}"] * bool(missing) + [
            f"the model has never seen {_listed(extra)}"
        ] * bool(extra)
        remedy = f"add {leaving_out(extra)}" if extra and not missing else "give the table that it was fitted on"
        raise InvalidInput(
            f"the columns of the model and of the data differ: {'; '.join(problems)}. Columns of the model: "
            f"{_listed(wanted)}; of the data: {_listed(columns)}. To go on, {remedy}."
        )
    return [place[_column(name)] for name in wanted]


def check_count(model: Any, given: int, columns: Sequence[str] = ()) -> None:
    """Raise InvalidInput unless the model was fitted on `given` columns, where it says on how many, or reads texts."""
    wanted = getattr(model, "n_features_in_", None)
    named = f" ({_listed(columns)})" if columns else ""
    if given != 1 and _reads_texts(model):
        raise InvalidInput(
            f"the model begins with a vectorizer of texts, so the data must be one column of texts beside the label, "
            f"got {given} columns{named}; leave out the others with --drop COLUMN,..."
        )
    if wanted and int(wanted) != given:  # CatBoost says 0
        raise InvalidInput(
            f"{type(model).__name__} was fitted on {wanted} columns, the data have {given}{named}; leave out what "
            "is not a feature, such as an index, with --drop."
        )


def _reads_texts(model: Any) -> bool:
    """Whether a vectorizer of words comes first, alone, in a pipeline or in a search."""
    model = getattr(model, "best_estimator_", model)
    return hasattr(model.steps[0][1] if hasattr(model, "steps") else model, "build_analyzer")


def _column(name: str) -> str:
    return re.sub(r"\s", "_", name)  # as LightGBM writes names


def _listed(names: Sequence[object], most: int = 12) -> str:
    more = f", ... ({len(names)})" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def categories_of(model: Any) -> list[int]:
    """Places of the columns that LightGBM or XGBoost saw as categories of pandas, and takes as nothing else."""
    model = getattr(model, "best_estimator_", model)
    booster: Any = getattr(model, "booster_", None)
    if getattr(booster, "pandas_categorical", None):
        return [int(place) for place in booster.params.get("categorical_column", ())]
    if hasattr(model, "get_booster"):
        return [place for place, kind in enumerate(model.get_booster().feature_types or ()) if kind == "c"]
    return []
