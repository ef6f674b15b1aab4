"""A gate closes when a finding is worse than asked, in the finding's own direction, in any of the models."""

import pytest

from trustworthy.report.finding import AuditRecord, Finding, Omission
from trustworthy.report.gate import Limit, parse_limits, shortfalls


def record(*values, omissions=()):
    findings = [
        Finding(
            name=name, value=value, model=model, property="robustness", kind="score", title="", wall_time=0.0,
            higher_is_better=name != "uncertainty.ece",
        )
        for model, name, value in values
    ]  # fmt: skip
    models = [{"name": model} for model in dict.fromkeys(model for model, _, _ in values if model != "all models")]
    return AuditRecord(
        title="", created="", models=models, data={}, plan={}, seed=0, wall_time=0.0, findings=findings,
        omissions=list(omissions),
    )  # fmt: skip


def test_limits_are_read_from_any_arrangement():
    expected = [Limit("accuracy", 0.9), Limit("uncertainty.ece", 0.05)]
    for texts in (["accuracy=0.9", "uncertainty.ece=0.05"], ["accuracy=0.9 uncertainty.ece=0.05"]):
        assert parse_limits(texts) == expected
    assert parse_limits(["accuracy=0.9,uncertainty.ece=.05"]) == expected
    assert parse_limits([]) == []


@pytest.mark.parametrize(
    ("name", "value", "limit", "closed"),
    [
        ("accuracy", 0.9, 0.9, False),
        ("accuracy", 0.8999, 0.9, True),
        ("uncertainty.ece", 0.05, 0.05, False),
        ("uncertainty.ece", 0.0501, 0.05, True),
        ("accuracy", None, 0.0, True),
    ],
)
def test_a_limit_is_read_in_the_direction_of_the_finding(name, value, limit, closed):
    assert bool(shortfalls(record(("m", name, value)), [Limit(name, limit)])) is closed


def test_the_phrase_says_model_value_side_and_limit():
    several = record(("a", "accuracy", 0.95), ("b", "accuracy", 0.5), ("a", "uncertainty.ece", 0.2))
    assert shortfalls(several, [Limit("accuracy", 0.9)]) == ["accuracy of b is 0.5, below 0.9"]
    assert shortfalls(record(("a", "uncertainty.ece", 0.2)), [Limit("uncertainty.ece", 0.1)]) == [
        "uncertainty.ece is 0.2, above 0.1"
    ]


def test_what_was_not_measured_falls_short_and_says_why():
    omission = Omission(model="b", part="uncertainty.calibration", reason="the model gives labels.")
    given = record(("a", "uncertainty.ece", 0.0), ("b", "accuracy", 1.0), omissions=[omission])
    assert shortfalls(given, [Limit("uncertainty.ece", 0.1)]) == [
        "uncertainty.ece of b was not measured: the model gives labels"
    ]
    (short,) = shortfalls(record(("a", "accuracy", 1.0)), [Limit("robustness.transfer", 0.1)])
    assert short == "robustness.transfer was not measured: it does not apply here"


def test_a_finding_about_all_models_is_asked_once():
    given = record(("a", "accuracy", 1.0), ("b", "accuracy", 1.0), ("all models", "robustness.transfer", 0.9))
    (short,) = shortfalls(given, [Limit("robustness.transfer", 0.95)])
    assert short.startswith("robustness.transfer of all models is 0.9, below")
