"""What may be spent, and what has been: the run stops asking when the next answers would pass the budget.

What counts is what the run's ledger holds, over all its starts, so the same command with a larger budget goes on.
Requests that are under way when the budget is reached are waited for, since they are paid for anyway; what they will
cost is reckoned with at the mean of those before.

    meter = Meter(Budget(usd=25), {"QwQ-32B": Price(input=0.2, output=0.6)}, ledger)
    meter.add("QwQ-32B", n_in=300, n_out=9000)
    meter.reached(n_open=12)

What it does not do: know what a provider really bills (thoughts that are not returned, cached prompts, discounts).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import Field

from limo.core.recipe import Settings
from limo.ledger.store import Ledger
from limo.models.settings import Price


class Budget(Settings):
    """The most that a run may spend on rollouts; nothing set is no limit."""

    tokens: int | None = Field(None, ge=1, description="tokens, read and written")
    usd: float | None = Field(None, gt=0, description="US dollars, by the `price` of the models")
    hours: float | None = Field(None, gt=0, description="hours of asking, over all starts")


class Meter:
    """Counts what a ledger's rollouts cost; one for a run, or one for each call."""

    def __init__(self, budget: Budget, prices: Mapping[str, Price], ledger: Ledger) -> None:
        self.budget, self.prices = budget, prices
        self.n_rollouts = self.n_tokens = 0
        self.usd = 0.0
        self._seconds, self._began = ledger.seconds(), time.monotonic()
        for model, (n, n_in, n_out) in ledger.spent().items():
            self.add(model, n_in, n_out, n)

    def add(self, model: str, n_in: int, n_out: int, n: int = 1) -> None:
        """Count `n` rollouts with all their tokens."""
        self.n_rollouts += n
        self.n_tokens += n_in + n_out
        price = self.prices.get(model)
        if price is not None:
            self.usd += (n_in * price.input + n_out * price.output) / 1e6

    @property
    def hours(self) -> float:
        """Hours of asking so far."""
        return (self._seconds + time.monotonic() - self._began) / 3600

    def reached(self, n_open: int = 0) -> str:
        """What is spent, in words, when nothing more may be asked; '' while there is room. `n_open` are under way."""
        budget, ahead = self.budget, 1 + (n_open + 1) / self.n_rollouts if self.n_rollouts else 1.0
        if budget.tokens is not None and self.n_tokens * ahead > budget.tokens:
            return f"{self.n_tokens:,} of {budget.tokens:,} tokens"
        if budget.usd is not None and self.usd * ahead > budget.usd:
            return f"{self.usd:,.2f} of {budget.usd:,.2f} US dollars"
        if budget.hours is not None and self.hours > budget.hours:
            return f"{self.hours:,.2f} of {budget.hours:,.2f} hours"
        return ""
