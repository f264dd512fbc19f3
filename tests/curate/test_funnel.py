import pytest

from limo.curate.funnel import FunnelRow, check, reasons, render

SOUND = [
    FunnelRow("ingest", "rows", 1200, 1000, 990, {"no problem text": 200}),
    FunnelRow("weak_filter", "problems", 1000, 4, 4, {"solved too often": 990, "suspect": 6}),
    FunnelRow("chains", "rollouts", 32, 5, 3, {"wrong answer": 27}),
    FunnelRow("grade", "chains", 5, 5, 3, {}),
]


def test_a_funnel_that_adds_up_passes_and_is_drawn_in_columns():
    check(SOUND)
    lines = render(SOUND).splitlines()
    assert lines[1].split() == ["ingest", "rows", "1,200", "1,000", "990", "200:", "no", "problem", "text", "200"]
    assert lines[2].endswith("996: solved too often 990, suspect 6")
    assert lines[4].endswith(" 0")
    assert reasons({}) == "0"


@pytest.mark.parametrize(
    "broken",
    [
        FunnelRow("grade", "chains", 5, 4, 3, {}),  # one vanished
        FunnelRow("grade", "chains", 6, 5, 3, {"loops": 1}),  # one appeared
    ],
)
def test_a_funnel_that_does_not_add_up_is_a_bug(broken):
    with pytest.raises(AssertionError):
        check([*SOUND[:-1], broken])
