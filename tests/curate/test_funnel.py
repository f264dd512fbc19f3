import pytest

from limo.curate.funnel import FunnelRow, check_funnel, describe_reasons

SOUND = [
    FunnelRow("ingest", "rows", 1200, 1000, 990, {"no problem text": 200}),
    FunnelRow("weak_filter", "problems", 1000, 4, 4, {"too easy": 990, "suspect": 6}),
    FunnelRow("chains", "rollouts", 32, 5, 3, {"wrong answer": 27}),
    FunnelRow("grade", "chains", 5, 5, 3, {}),
]


def test_a_funnel_that_adds_up_passes_and_its_reasons_are_named_with_their_counts():
    check_funnel(SOUND)
    assert describe_reasons(SOUND[1].n_by_reason) == "996: too easy 990, suspect 6"
    assert describe_reasons({}) == "0"


@pytest.mark.parametrize(
    "broken",
    [
        FunnelRow("grade", "chains", 5, 4, 3, {}),  # one vanished
        FunnelRow("grade", "chains", 6, 5, 3, {"loops": 1}),  # one appeared
    ],
)
def test_a_funnel_that_does_not_add_up_is_a_bug(broken):
    with pytest.raises(AssertionError):
        check_funnel([*SOUND[:-1], broken])
