"""A plan is a profile and what changes it; whatever it does not know is told with the nearest name."""

import tomllib
from pathlib import Path

import pytest

from trustworthy.attacks import PGD, BoundaryAttack
from trustworthy.report.findings import KINDS, RULES
from trustworthy.report.plan import make_plan
from trustworthy.report.settings import PROFILES, AttackPlan


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_a_valid_plan(profile):
    plan = make_plan(profile)
    assert plan.profile == profile
    assert make_plan(None, {"profile": profile}) == plan


def test_profiles_try_harder_in_order():
    quick, standard, thorough = (make_plan(profile) for profile in ("quick", "standard", "thorough"))
    assert quick.rows < standard.rows
    assert thorough.rows == 0
    assert quick.draws < standard.draws < thorough.draws
    assert len(quick.linf.multiples) < len(standard.linf.multiples)
    assert make_plan() == standard


def test_a_file_changes_a_profile_and_arguments_change_both(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(
        """
        profile = "quick"
        rows = 40
        skip = ["robustness.corruptions"]
        [attacks]
        tried = [{name = "APGD", steps = 7}]
        linf = 0.2
        [distortion.attack]
        name = "CarliniWagner"
        """
    )
    plan = make_plan(None, path)
    assert plan.rows == 40
    assert plan.skip == ["robustness.corruptions"]
    assert plan.attacks.linf == 0.2
    assert plan.attacks.decision == make_plan("quick").attacks.decision
    assert plan.distortion.attack.model_extra == {}  # the steps of the profile's PGD are gone with it
    assert make_plan("thorough", path).profile == "thorough"
    assert make_plan(None, path, rows=5).rows == 5


def test_skip_knows_every_kind():
    steps = [kind.step for kind in KINDS]
    assert make_plan(None, {"skip": steps}).skip == steps


def test_an_attack_takes_only_what_it_has_parameters_for():
    assert AttackPlan(name="PGD", steps=3).build(bounds=None, norm="l2", eps=0.5, starts=None) == PGD(
        steps=3, norm="l2", eps=0.5, bounds=None
    )
    boundary = AttackPlan(name="BoundaryAttack").build(bounds=(0.0, 1.0), norm="l2", eps=0.5)
    assert boundary == BoundaryAttack()
    assert AttackPlan(name="PGD", eot=3).build(bounds=None, eps=1.0, eot=10).eot == 3  # the plan knows best


def flat(section, prefix=""):
    for key, value in section.items():
        if isinstance(value, dict) and "name" not in value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def text(value):
    if isinstance(value, dict):
        return f"{value['name']}({', '.join(f'{key}={item}' for key, item in value.items() if key != 'name')})"
    if isinstance(value, list):
        return ("; " if value and isinstance(value[0], dict) else " ").join(map(text, value)) or "none"
    return value if isinstance(value, str) else f"{value:g}"


def test_the_documented_examples_are_plans():
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    examples = [block.partition("```")[0] for block in page.split("```toml\n")[1:]]
    assert len(examples) == 2
    first, columns = (make_plan(None, tomllib.loads(example)) for example in examples)
    assert first.rows == 200
    assert list(columns.columns) == ["age", "income", "year of birth", "postcode"]


def test_the_documented_tables_are_those_of_the_code():
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    plans = [dict(flat(make_plan(profile).model_dump())) for profile in PROFILES]
    rows = [f"| `{key}` | {' | '.join(text(plan[key]) for plan in plans)} |" for key in plans[0] if key != "profile"]
    rows += [f"| `{name}` | {rule.judged} | {rule.good:g} | {rule.worry:g} |" for name, rule in RULES.items()]
    assert [row for row in rows if row not in page] == []
    documented = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line for line in documented if line not in rows] == []
    assert all(f"`{kind.step}`" in page for kind in KINDS)
