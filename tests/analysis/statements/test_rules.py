"""Estimates into verdicts, and the adjustment for their number."""

import pytest
from scipy.stats import norm

from wheretolook.analysis.results.schema import ALPHA
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Statement, Verdict, statement_from_json
from wheretolook.analysis.statements.rules import Condition, Estimate, adjusted, judge, power_of

BLANK = Statement(Kind.PLACE, "a", Verdict.CANNOT_TELL, Reason.ALL_MET, ("x", "y"), 75)


def condition(value: float, half: float, threshold: float = 0.0, **about: object) -> Condition:
    figure = Figure("figure", value, value - half, value + half, threshold)
    return Condition(Estimate(value, value - half, value + half), threshold, Reason.NOT_LOCATED, figure, **about)


def test_p_value_is_that_of_the_normal_distribution_and_agrees_with_the_interval() -> None:
    assert Estimate(1.0, 0.0, 2.0).p_above(0.0) == pytest.approx(0.025)
    assert Estimate(1.0, 0.0, 2.0).p_below(2.0) == pytest.approx(0.025)
    assert Estimate(1.0, 0.5, 1.5).p_above(0.0) == pytest.approx(norm.sf(2 * norm.ppf(0.975)))
    assert Estimate(1.0, 0.0, 2.0, degrees=5).p_above(0.0) == pytest.approx(0.025)
    assert (Estimate(1.0, 1.0, 1.0).p_above(0.0), Estimate(0.0, 0.0, 0.0).p_above(0.0)) == (0.0, 1.0)


def test_every_condition_must_hold_and_the_weakest_decides() -> None:
    said = judge(BLANK, [condition(3, 1), condition(1, 0.9, worst="c")], 75)
    assert (said.verdict, said.reason, said.worst) == (Verdict.SUPPORTED, Reason.ALL_MET, "c")
    assert said.figures[0].value == 1
    assert said.p == pytest.approx(condition(1, 0.9).p_for)


def test_one_condition_that_is_shown_to_fail_shows_the_statement_not_to_hold() -> None:
    said = judge(BLANK, [condition(3, 1), condition(-1, 0.8)], 75)
    assert (said.verdict, said.reason) == (Verdict.SHOWN_NOT, Reason.NOT_LOCATED)
    assert judge(BLANK, [condition(3, 1), condition(-1, 0.8, shows_not=False)], 75).verdict is Verdict.CANNOT_TELL


def test_interval_around_the_threshold_tells_nothing_but_what_would() -> None:
    said = judge(BLANK, [condition(0.5, 1.0)], 75)
    assert (said.verdict, said.reason) == (Verdict.CANNOT_TELL, Reason.IMPRECISE)
    assert said.minimum_detectable == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) / norm.ppf(0.975))
    detectable, needed = power_of(Estimate(0.5, -0.5, 1.5), 0.0, 75)
    assert needed == pytest.approx(75 * (detectable / 0.5) ** 2, abs=1)
    assert power_of(Estimate(0.0, -1, 1), 0.0, 75)[1] is None


def test_statements_are_adjusted_for_their_number_and_the_exploratory_are_not() -> None:
    one = judge(BLANK, [condition(1, 0.95)], 75)  # p = 0.02
    assert adjusted([one])[0].verdict is Verdict.SUPPORTED
    two = adjusted([one, judge(BLANK, [condition(0.1, 1)], 75)])
    assert [each.reason for each in two] == [Reason.ADJUSTED, Reason.IMPRECISE]
    assert two[0].p_adjusted > ALPHA
    strong = judge(BLANK, [condition(1, 0.4)], 75)
    assert {each.verdict for each in adjusted([strong] * 12)} == {Verdict.SUPPORTED}
    from dataclasses import replace

    assert adjusted([replace(one, exploratory=True), one, one])[0].verdict is Verdict.SUPPORTED


def test_statement_survives_json() -> None:
    said = judge(BLANK, [condition(0.5, 1.0)], 75)
    assert statement_from_json(said.to_json()) == said


def of_models(*values: float, half: float = 0.5) -> dict[str, Estimate]:
    return {f"m{i}": Estimate(value, value - half, value + half) for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("mean", "models", "verdict", "worst"),
    [
        (1.5, (1.0, 2.0, 1.5), Verdict.SUPPORTED, ""),
        (1.5, (2.0, -0.1, 2.6), Verdict.CANNOT_TELL, "m1"),
        (-1.5, (-2.0, -2.8, 0.3), Verdict.SHOWN_NOT, ""),
        (-1.5, (-3.0, -3.0, 1.5), Verdict.CANNOT_TELL, "m2"),
    ],
)
def test_verdict_on_the_mean_that_is_false_of_one_model_leaves_the_statement_open(
    mean: float, models: tuple[float, ...], verdict: Verdict, worst: str
) -> None:
    said = judge(BLANK, [condition(3, 1), condition(mean, 0.2, by_model=of_models(*models))], 75)
    assert (said.verdict, said.worst) == (verdict, worst)
    if worst:
        assert (said.reason, said.p) == (Reason.MODELS_DIFFER, None)
        assert (said.figures[0].of, said.figures[0].value) == (worst, models[int(worst[1])])


def test_images_needed_are_counted_among_those_that_the_figure_is_of() -> None:
    said = judge(BLANK, [condition(0.5, 1.0, images=50)], 75)
    assert said.images_measured == 50
    assert said.images_needed == power_of(Estimate(0.5, -0.5, 1.5), 0.0, 50)[1]
    assert judge(BLANK, [condition(0.5, 1.0)], 75).images_measured is None


def test_what_fails_in_every_model_decides_before_what_fails_in_most() -> None:
    mixed = condition(-3, 0.2, by_model=of_models(-6, -6, 3))
    said = judge(BLANK, [mixed, condition(-1, 0.2, worst="c", by_model=of_models(-1, -1, -1))], 75)
    assert (said.verdict, said.worst) == (Verdict.SHOWN_NOT, "c")


def test_refutation_counts_every_condition_that_could_have_failed() -> None:
    fails, holds = condition(-1, 0.8), condition(3, 1)
    assert judge(BLANK, [fails], 75).p == pytest.approx(fails.p_against)
    assert judge(BLANK, [fails, holds, condition(3, 1, shows_not=False)], 75).p == pytest.approx(2 * fails.p_against)
    assert judge(BLANK, [condition(-1, 0.98), holds, holds], 75).verdict is Verdict.CANNOT_TELL
