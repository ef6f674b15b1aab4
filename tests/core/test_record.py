from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from trustworthy.core.record import Record, versions


def test_a_record_survives_json():
    record = Record(name="robustness.linf.accuracy", value=0.5, interval=(0.4, 0.6), seed=3, wall_time=1.5)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_a_value_that_json_cannot_hold_is_read_as_not_measured():
    record = Record(name="uncertainty.nll", value=math.inf, wall_time=0.0)
    assert Record.model_validate_json(record.model_dump_json()).value is None


def test_a_record_says_what_it_depends_on():
    assert Record(name="a", value=1.0, wall_time=0.0).versions == versions()
    assert {"python", "trustworthy", "torch", "numpy", "scipy", "scikit-learn"} <= set(versions())


@pytest.mark.parametrize("wrong", [{"wall_time": -1.0}, {"wall_time": 1.0, "vaule": 2.0}])
def test_a_record_refuses_what_is_not_in_its_schema(wrong):
    with pytest.raises(ValidationError):
        Record(name="a", value=1.0, **wrong)


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError):
        Record(name="a", value=1.0, wall_time=0.0).value = 2.0
