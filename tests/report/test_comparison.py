"""Two audits are compared by pairs of rows where they hold the same, and never where they were measured otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from report.test_gate import record
from trustworthy.metrics import difference_interval, ece, paired_share_interval, proportion_interval
from trustworthy.report.comparison import compare
from trustworthy.report.finding import Omission
from trustworthy.report.findings import OF_FINDING
from trustworthy.report.pairing import Kept

N = 200


def kept(*values, model="m", data=(), columns=None, no_rows="", versions=None, **given):
    """An audit of one model: (finding, value, interval, conditions)."""
    told = {"data": {"name": "d", "fingerprint": "f", **dict(data)}, "plan": {"resamples": 400}, **given}
    made = record(*((model, name, value) for name, value, *_ in values), **told)
    found = []
    for finding, (name, _, interval, conditions) in zip(made.findings, values, strict=True):
        kind = OF_FINDING[name]
        own = {"kind": kind.name, "higher_is_better": kind.findings[name].higher_is_better}
        own |= {"interval": interval, "conditions": conditions, "versions": versions or {}}
        found.append(finding.model_copy(update=own))
    return Kept(made.model_copy(update={"findings": found}), {model: columns} if columns else {}, no_rows)


def right(hits, **given):
    """An audit of the accuracy alone, from which rows are right."""
    hits = np.asarray(hits, bool)
    value, interval = hits.mean(), proportion_interval(int(hits.sum()), len(hits))
    return kept(("accuracy", float(value), interval, {"n": len(hits)}), columns={"right": hits}, **given)


def only(comparison):
    assert (len(comparison.changes), comparison.left_out) == (1, [])
    return comparison.changes[0]


def hits(lost=0, gained=0, base=160):
    """Rows that are right before and after."""
    before = np.arange(N) < base
    after = before.copy()
    after[:lost], after[base : base + gained] = False, True
    return before, after


def test_a_drop_within_two_intervals_is_seen_in_pairs_and_named():
    before, after = hits(lost=10, gained=1)
    change = only(compare(right(before), right(after)))
    assert change.interval == paired_share_interval(10, 1, N)
    assert (change.status, change.unpaired, change.difference) == ("worse", "", pytest.approx(-0.045))
    assert change.phrase == "accuracy went from 80.0% to 75.5%: -4.5 points (-8.5 to -1.0)"
    others = only(compare(right(before), right(after, data={"fingerprint": "g"})))
    assert others.status == "same"
    assert others.interval == difference_interval(0.8, proportion_interval(160, N), 0.755, proportion_interval(151, N))
    assert others.phrase.endswith(", not paired: the rows differ")


@pytest.mark.parametrize(
    ("lost", "gained", "status"), [(0, 0, "same"), (5, 2, "same"), (2, 30, "better"), (9, 0, "worse")]
)
def test_better_worse_or_the_same_within_the_interval(lost, gained, status):
    assert only(compare(*map(right, hits(lost, gained)))).status == status


def test_scores_of_rows_are_paired_by_a_bootstrap_in_the_direction_of_the_finding():
    random = np.random.default_rng(0)
    spread, shift = random.exponential(size=N), 0.05 + 0.02 * random.normal(size=N)

    def scored(values):
        interval = (values.mean() - 0.15, values.mean() + 0.15)
        columns = {"nll": values, "right": values < 9}
        return kept(("uncertainty.nll", float(values.mean()), interval, {"n": N}), columns=columns)

    change = only(compare(scored(spread), scored(spread + shift)))
    error = 1.96 * shift.std() / np.sqrt(N)
    assert change.interval == pytest.approx((shift.mean() - error, shift.mean() + error), abs=error / 4)
    assert change.status == "worse"
    apart = only(compare(scored(spread), Kept(scored(spread + shift).record, no_rows="no rows")))
    assert apart.status == "same"


def test_a_statistic_of_the_rows_is_resampled_with_the_same_rows_of_both():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1.0, N)
    correct = random.uniform(size=N) < confidence

    def calibrated(confidence):
        value = ece(confidence, correct, bins=10)
        found = ("uncertainty.ece", value, (max(value - 0.05, 0.0), value + 0.05), {"n": N, "bins": 10})
        return kept(found, columns={"confidence": confidence, "right": correct})

    change = only(compare(calibrated(confidence), calibrated(confidence**0.1)))
    assert (change.status, change.unpaired) == ("worse", "")
    assert change.interval[0] < change.difference < change.interval[1]
    same = only(compare(calibrated(confidence), calibrated(confidence)))
    assert (same.interval, same.status) == ((0.0, 0.0), "same")


def attacked(distance, *, eps=0.1, **given):
    """An audit of the accuracy under attack, from the distance that breaks each row; NaN where it was not tried."""
    stands = np.nan_to_num(distance, nan=0.0) > eps
    value, interval = float(stands.mean()), proportion_interval(int(stands.sum()), len(stands))
    conditions = {"n": len(stands), "norm": "linf", "eps": eps, "attacks": ["PGD(eps=0.2)"]}
    columns = {"broken_linf": distance, "right": distance != 0}
    return kept(("robustness.linf.accuracy", value, interval, conditions), columns=columns, **given)


def test_what_stands_at_the_radius_of_the_finding_is_paired():
    before = np.repeat([0.0, 0.1, 0.2, np.inf], 50)  # what breaks at the radius itself does not stand
    after = np.where(np.arange(N) % 10 == 0, 0.05, before)
    change = only(compare(attacked(before), attacked(after)))
    assert (change.interval, change.status) == (paired_share_interval(10, 0, N), "worse")


def test_rows_that_were_not_tried_in_one_audit_are_not_paired():
    before = np.repeat([0.0, 0.05, 0.2, np.inf], 50)
    untried = np.where(np.arange(N) % 10 == 0, np.nan, before)
    change = only(compare(attacked(before), attacked(untried)))
    assert change.unpaired == "other rows were tried"
    estimated = attacked(untried)
    few = only(compare(estimated, estimated))
    assert few.unpaired == "the kept rows alone do not give the value"


def test_another_radius_or_attack_is_said_and_not_compared():
    distance = np.repeat([0.0, 0.3], 100)
    found = compare(attacked(distance), attacked(distance, eps=0.2))
    assert (found.changes, found.left_out) == ([], ["robustness.linf.accuracy: eps 0.1 and 0.2"])
    other = attacked(distance)
    (finding,) = other.record.findings
    stronger = finding.model_copy(update={"conditions": {**finding.conditions, "attacks": ["APGD()"]}, "level": 0.9})
    found = compare(attacked(distance), Kept(other.record.model_copy(update={"findings": [stronger]}), other.rows))
    assert found.left_out == ["robustness.linf.accuracy: attacks PGD(eps=0.2) and APGD(); level 0.95 and 0.9"]


def test_what_only_one_audit_measured_is_said_with_the_reason():
    omission = Omission(model="m", part="robustness.linf", reason="the plan skips it.")
    both = right(hits()[0]), attacked(np.repeat([0.0, 0.3], 100), omissions=[])
    found = compare(both[1], right(hits()[0], omissions=[omission]))
    assert found.left_out == [
        "accuracy: not measured in the earlier audit (it does not apply here)",
        "robustness.linf.accuracy: not measured in the later audit (the plan skips it)",
    ]
    undefined = kept(("robustness.l2.distortion", None, None, {"at_least": 0.5}))
    assert compare(undefined, undefined).left_out == [
        "robustness.l2.distortion: only known to exceed 0.5 in the earlier audit"
    ]


def test_attacks_on_other_columns_are_not_compared_and_all_else_is():
    def planned(found, columns):
        return replace(
            found, record=found.record.model_copy(update={"plan": {**found.record.plan, "columns": columns}})
        )

    before = attacked(np.repeat([0.0, 0.3], 100))
    free, unit = ({"age": {"immutable": False, "unit": unit, "range": None}} for unit in ("", "years"))
    held = {"age": {"immutable": True, "unit": "", "range": None}}
    assert compare(before, planned(before, held)).left_out == [
        "robustness.linf.accuracy: [columns] of the plans lets an adversary change other things"
    ]
    assert only(compare(planned(before, free), planned(before, unit))).status == "same"
    accuracy = right(hits()[0])
    assert only(compare(accuracy, planned(accuracy, held))).status == "same"


def test_other_data_are_not_compared():
    before, after = hits(lost=50)
    found = compare(right(before), right(after, data={"fingerprint": "g", "name": "e", "units": "pixels"}))
    assert found.changes == []
    assert found.left_out == ["accuracy: name of the data d and e; units of the data – and pixels"]
    renamed = compare(right(before), right(after, data={"name": "e"}))  # the same rows under another name
    assert only(renamed).status == "worse"


def test_one_model_each_is_matched_whatever_its_name_several_by_theirs():
    before, after = hits(lost=50)
    assert only(compare(right(before, model="old"), right(after, model="new"))).label == "accuracy"
    two, one = right(before), right(after, model="new")
    both = two.record.model_copy(update={
        "models": [{"name": "m"}, {"name": "new"}],
        "findings": [*two.record.findings, *(f.model_copy(update={"value": 0.9}) for f in one.record.findings)],
    })  # fmt: skip
    found = compare(Kept(both, two.rows), right(after))
    assert [(change.label, change.status) for change in found.changes] == [("accuracy of m", "worse")]
    assert found.left_out == ["new: in the earlier audit alone; NAME=MODEL names a model as the other audit does"]


def test_without_rows_the_difference_says_why_and_is_that_of_independent_estimates():
    before, after = hits(lost=10)
    change = only(compare(right(before, no_rows="reading rows.parquet needs pyarrow"), right(after)))
    assert change.unpaired == "reading rows.parquet needs pyarrow"
    lacking = right(after)
    lacking.rows["m"].clear()
    change = only(compare(right(before), lacking))
    assert change.unpaired == "rows.parquet has no 'right' of m"
    assert change.interval[0] < -0.05 < change.interval[1]
    found = compare(right(before), lacking)
    assert found.unpaired == ["accuracy: rows.parquet has no 'right' of m"]


def test_a_difference_without_an_interval_cannot_be_told():
    checks = [kept(("evaluation.diagnosis", value, None, {"no_interval": "it counts checks"})) for value in (0.0, 1.0)]
    change = only(compare(*checks))
    assert (change.status, change.interval) == ("cannot tell", None)
    assert change.phrase.startswith("evaluation.diagnosis went from 0 failed to 1 failed: +1 (no interval), not paired")
    assert only(compare(checks[0], checks[0])).status == "same"


def test_what_else_differs_is_listed():
    before, after = hits()
    old = right(before, versions={"torch": "2.6"})
    new = right(after, model="n", data={"fingerprint": "g", "rows": 300}, versions={"torch": "2.7"})
    new = Kept(new.record.model_copy(update={"seed": 1, "plan": {"resamples": 400, "linf": {"multiples": [1.0, 2.0]}}}))
    assert compare(old, old).differs == []
    assert compare(old, new).differs == [
        "models m and n", "data.fingerprint f and g", "seed 0 and 1", "versions.torch 2.6 and 2.7",
        "data.rows – and 300", "plan.linf.multiples – and 1, 2",
    ]  # fmt: skip
