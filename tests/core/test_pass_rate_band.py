"""Early stopping against the definition: decided is what no continuation can change."""

from __future__ import annotations

from itertools import product

import pytest

from limo.core.errors import InputError
from limo.core.pass_rate_band import PassRateBand

BANDS = [PassRateBand(low, high, n) for n in range(1, 6) for low in range(n + 1) for high in range(low, n + 1)]


def kept(band, n_correct):
    return "keep" if band.low <= n_correct <= band.high else "drop"


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_what_is_decided_no_continuation_changes_and_what_is_open_some_does(band):
    for n_correct, n_wrong in product(range(band.n + 1), repeat=2):
        n_open = band.n - n_correct - n_wrong
        if n_open < 0:
            continue
        ends = {kept(band, n_correct + more) for more in range(n_open + 1)}
        assert band.decide(n_correct, n_wrong) == (ends.pop() if len(ends) == 1 else None)


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_the_fewest_more_draws_can_decide_and_fewer_cannot(band):
    for n_correct, n_wrong, n_undecided in product(range(band.n + 1), repeat=3):
        n_open = band.n - n_correct - n_wrong - n_undecided
        if n_open < 0:
            continue
        enough = [
            more
            for more in range(n_open + 1)
            if any(band.decide(n_correct + right, n_wrong + more - right) for right in range(more + 1))
        ]
        assert band.n_more_needed(n_correct, n_wrong, n_undecided) == (enough[0] if enough else 0)


def test_any_of_four_right_is_decided_by_the_first_right_one():
    assert PassRateBand(0, 0, 4).decide(1, 0) == "drop"
    assert PassRateBand(0, 0, 4).decide(0, 3) is None
    assert PassRateBand(0, 0, 4).decide(0, 4) == "keep"


@pytest.mark.parametrize("values", [(1, 0, 4), (-1, 0, 4), (0, 5, 4), (0, 0, 0)])
def test_an_empty_band_is_refused(values):
    with pytest.raises(InputError, match="the band is empty"):
        PassRateBand(*values)
