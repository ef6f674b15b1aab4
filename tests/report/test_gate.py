"""A limit holds, fails, or cannot be told: the whole interval decides, in the finding's own direction."""

import pytest

from trustworthy.metrics import proportion_interval
from trustworthy.report.finding import AuditRecord, Finding, Omission
from trustworthy.report.gate import Limit, judge, parse_limits


def record(*values, omissions=(), data=None, plan=None, **given):
    """An audit of (model, finding, value); `given` is the same in all findings."""
    findings = [
        Finding(
            name=name, value=value, model=model, property="robustness", kind="score", title="", wall_time=0.0,
            higher_is_better=name != "uncertainty.ece", **given,
        )
        for model, name, value in values
    ]  # fmt: skip
    models = [{"name": model} for model in dict.fromkeys(model for model, _, _ in values if model != "all models")]
    return AuditRecord(
        title="", created="", models=models, data=data or {}, plan=plan or {}, seed=0, wall_time=0.0,
        findings=findings, omissions=list(omissions),
    )  # fmt: skip


def outcome(record, name, limit):
    """What a limit says of the only model."""
    (only,) = judge(record, [Limit(name, limit)])
    return only


def share(hits, n, **given):
    """An audit of one accuracy, its interval exact."""
    interval = proportion_interval(hits, n)
    return record(("m", "accuracy", hits / n), interval=interval, conditions={"n": n}, **given)


def test_limits_are_read_from_any_arrangement():
    expected = [Limit("accuracy", 0.9), Limit("uncertainty.ece", 0.05)]
    for texts in (["accuracy=0.9", "uncertainty.ece=0.05"], ["accuracy=0.9 uncertainty.ece=0.05"]):
        assert parse_limits(texts) == expected
    assert parse_limits(["accuracy=0.9,uncertainty.ece=.05"]) == expected
    assert parse_limits([]) == []


@pytest.mark.parametrize(
    ("name", "value", "limit", "status"),
    [
        ("accuracy", 0.9, 0.9, "holds"),
        ("accuracy", 0.8999, 0.9, "fails"),
        ("uncertainty.ece", 0.05, 0.05, "holds"),
        ("uncertainty.ece", 0.0501, 0.05, "fails"),
        ("accuracy", None, 0.0, "fails"),
    ],
)
def test_a_value_without_an_interval_decides_in_the_direction_of_the_finding(name, value, limit, status):
    assert outcome(record(("m", name, value)), name, limit).status == status


@pytest.mark.parametrize("limit", [0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6])
def test_the_whole_interval_decides_in_the_direction_of_the_finding(limit):
    for name, better in (("accuracy", 1), ("uncertainty.ece", -1)):
        low, value, high = sorted((better * 0.2, better * 0.3, better * 0.5))
        given = record(("m", name, abs(value)), interval=tuple(sorted((abs(low), abs(high)))))
        expected = "holds" if better * limit <= low else "fails" if better * limit > high else "cannot tell"
        assert outcome(given, name, limit).status == expected


def test_the_phrase_says_model_value_interval_side_and_limit():
    several = record(("a", "accuracy", 0.95), ("b", "accuracy", 0.5), interval=(0.4, 0.96))
    first, second = judge(several, [Limit("accuracy", 0.97)])
    assert (first.model, first.finding, first.phrase) == (
        "a", several.findings[0], "accuracy of a is 0.95 (0.4 to 0.96), below 0.97"
    )  # fmt: skip
    assert second.phrase == "accuracy of b is 0.5 (0.4 to 0.96), below 0.97"
    assert outcome(record(("a", "accuracy", 0.5)), "accuracy", 0.4).phrase == "accuracy is 0.5, at least 0.4"
    ece = record(("a", "uncertainty.ece", 0.2))
    assert outcome(ece, "uncertainty.ece", 0.1).phrase == "uncertainty.ece is 0.2, above 0.1"
    assert outcome(ece, "uncertainty.ece", 0.3).phrase == "uncertainty.ece is 0.2, at most 0.3"


@pytest.mark.parametrize(("hits", "n", "limit"), [(93, 100, 0.9), (93, 100, 0.95), (60, 60, 0.95), (1, 30, 0.01)])
def test_the_rows_that_would_tell_of_a_share_do(hits, n, limit):
    given = outcome(share(hits, n), "accuracy", limit)
    assert given.status == "cannot tell"
    rows = int(given.phrase.split("about ")[1].split(" rows")[0].replace(",", ""))
    many, fewer = outcome(share(round(hits / n * rows), rows), "accuracy", limit), round(0.85 * rows)
    assert many.status == ("holds" if hits / n > limit else "fails")
    assert fewer < n or outcome(share(round(hits / n * fewer), fewer), "accuracy", limit).status == "cannot tell"


def test_what_cannot_be_told_names_the_remedy():
    few = share(93, 100, data={"rows": 100, "available": 5000})
    assert outcome(few, "accuracy", 0.9).phrase == (
        "accuracy is 0.93 (0.8611 to 0.9714), too near to 0.9: about 400 rows would tell (--limit 0 takes all 5,000)"
    )
    all_of_them = share(93, 100, data={"rows": 100, "available": 100})
    assert "would tell (there are 100)" in outcome(all_of_them, "accuracy", 0.9).phrase
    assert outcome(share(90, 100), "accuracy", 0.9).phrase.endswith("too near to 0.9: no number of rows would tell")
    assert "no number of rows would tell" in outcome(share(90_000, 100_000), "accuracy", 0.9 - 1e-9).phrase


def test_what_rests_on_fewer_rows_names_the_key_of_the_plan():
    tried = {"n": 300, "right": 280, "attacked": 50}
    attacked = record(("m", "robustness.l2.accuracy", 0.5), interval=(0.4, 0.6), conditions=tried)
    phrase = outcome(attacked, "robustness.l2.accuracy", 0.45).phrase
    assert phrase.endswith("about 200 rows would tell (attacks.decision_rows in the plan)")
    exchanged = record(
        ("m", "robustness.exchange", 0.5), interval=(0.4, 0.6), conditions=tried, plan={"exchange": {"rows": 50}}
    )
    phrase = outcome(exchanged, "robustness.exchange", 0.45).phrase
    assert phrase.endswith("about 200 rows would tell (exchange.rows in the plan)")
    plan, name = {"corruptions": {"rows": 40}}, "robustness.corruptions"
    of_few = record(("m", name, 0.8), interval=(0.7, 0.9), conditions={"n": 40}, plan=plan, data={"available": 9})
    assert outcome(of_few, name, 0.75).phrase.endswith("about 160 rows would tell (corruptions.rows in the plan)")


def test_what_was_not_measured_fails_and_says_why():
    omission = Omission(model="b", part="uncertainty.calibration", reason="the model gives labels.")
    given = record(("a", "uncertainty.ece", 0.0), ("b", "accuracy", 1.0), omissions=[omission])
    first, second = judge(given, [Limit("uncertainty.ece", 0.1)])
    assert (first.status, second.status, second.finding) == ("holds", "fails", None)
    assert second.phrase == "uncertainty.ece of b was not measured: the model gives labels"
    short = outcome(record(("a", "accuracy", 1.0)), "robustness.transfer", 0.1)
    assert short.phrase == "robustness.transfer was not measured: it does not apply here"


def test_a_finding_about_all_models_is_asked_once():
    given = record(("a", "accuracy", 1.0), ("b", "accuracy", 1.0), ("all models", "robustness.transfer", 0.9))
    assert outcome(given, "robustness.transfer", 0.95).phrase.startswith("robustness.transfer of all models is 0.9, b")


def test_rows_that_would_tell_a_mean_above_one_are_counted_too():
    """Of a mean size of sets, 45 / 30: no share, though a whole number of something over n."""
    given = {"interval": (1.2, 1.8), "conditions": {"n": 30}}
    told = outcome(record(("m", "uncertainty.conformal", 1.5), **given), "uncertainty.conformal", 1.4)
    assert told.status == "cannot tell"
    assert "about 270 rows would tell" in told.phrase
