"""Every parameter of the simulated company, with its unit: the truth that analyses must recover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from math import exp, log
from typing import Any

from cxlib.errors import CxError, unknown_name

__all__ = [
    "CAUSES",
    "CHANNELS",
    "CONDITIONS",
    "PLANS",
    "TOPICS",
    "Plan",
    "PlantedTruth",
    "planted_truth",
]

CAUSES = ("price", "service", "moved", "payment")
"""Why a customer leaves within a billing period. A contract that is not renewed ends apart."""

CHANNELS = ("web", "partner", "referral", "field_sales", "phone")
"""How a customer was acquired; the first is the reference."""

CONDITIONS = (
    "annual_contract",
    "channel_partner",
    "channel_referral",
    "channel_field_sales",
    "channel_phone",
    "tier_middle",
    "tier_high",
    "returned",
    "rescheduled_installation",
    "failed_payment",
    "two_handoffs",
    "low_sentiment",
    "checked_contract_terms",
)
"""What may raise or lower the hazard of leaving."""

TOPICS = ("technical", "billing", "moving", "cancellation", "complaint")
"""What a ticket is about."""


@dataclass(frozen=True)
class Plan:
    """One plan on sale.

    Examples
    --------
    >>> PLANS[0]
    Plan(name='Fiber 100', product='internet', tier='low', price=29.0)
    """

    name: str
    product: str
    tier: str  # low, middle, high
    price: float  # USD per billing period


PLANS = (
    Plan("Fiber 100", "internet", "low", 29.0),
    Plan("Fiber 500", "internet", "middle", 45.0),
    Plan("Fiber 500 + TV", "internet_tv", "middle", 59.0),
    Plan("Fiber 1000 + TV", "internet_tv", "high", 79.0),
)


_START, _END = datetime(2022, 1, 1), datetime(2024, 12, 31, 23, 59, 59)
_DRIFT = datetime(2024, 3, 1)


def _stated(default: Any, unit: str, meaning: str) -> Any:
    metadata = {"unit": unit, "meaning": meaning}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class PlantedTruth:
    """Parameters of the simulated company; the simulator uses these and no others.

    Attributes
    ----------
    window_start, observed_until, drift_at
        What the exports cover, and when service changes for the worse (naive UTC).
    baseline_hazard
        Hazard of leaving of the reference customer (web, low tier, monthly contract, first
        subscription, no trouble) per billing period, by the first period that it holds for.
    hazard_ratios
        Factors on that hazard: proportional, all causes together, exact in continuous time.
    cause_shares, cause_odds
        Causes of the reference customer's leaving, and what multiplies their odds (against the
        causes that a condition does not name). The hazard of a cause is the hazard of leaving
        times the share of the cause.

    Notes
    -----
    A billing period is 30 days from the start of the subscription, and an annual contract 12 of
    them. Conditions that vary hold for the whole period and look back strictly: ``failed_payment``,
    ``two_handoffs`` and ``low_sentiment`` speak of the period before. The hazard is constant
    within a period but for the first ten days of a subscription, when nobody leaves.

    Renewal is apart: who reaches the end of an annual term declines with a probability of their
    own, Beta(a, b) over customers (the shifted-beta-geometric model), whatever else is the case.

    ``two_handoffs`` and ``failed_payment`` also lower sentiment, so their total effect is larger
    than their hazard ratio, which is the effect at equal sentiment.

    References
    ----------
    Fader & Hardie (2007), How to project customer retention, J. Interactive Marketing 21(1).
    Fader, Hardie & Lee (2005), RFM and CLV, J. Marketing Research 42(4): the gamma-gamma model.

    Examples
    --------
    >>> truth = PlantedTruth()
    >>> truth.hazard_ratios["two_handoffs"]
    2.0
    >>> PlantedTruth(hazard_ratios={"two_handoffs": 1.0}).hazard_ratio("low_sentiment")
    1.0
    """

    window_start: datetime = _stated(_START, "UTC", "start of the window")  # noqa: RUF009
    observed_until: datetime = _stated(_END, "UTC", "end of the window")  # noqa: RUF009
    drift_at: datetime = _stated(_DRIFT, "UTC", "when service gets worse")  # noqa: RUF009

    period_days: int = _stated(30, "days", "length of a billing period")
    term_periods: int = _stated(12, "billing periods", "length of an annual contract")
    grace_days: int = _stated(10, "days", "start of a subscription in which nobody leaves")
    legacy_share: float = _stated(0.15, "share", "customers who joined before the window")
    legacy_days: int = _stated(1460, "days", "how long before the window they joined at most")
    prospects_per_customer: float = _stated(0.5, "persons", "visitors who never buy")

    channel_shares: Mapping[str, float] = _stated(
        {"web": 0.45, "partner": 0.15, "referral": 0.12, "field_sales": 0.13, "phone": 0.15},
        "share",
        "acquisition channel of a customer",
    )
    tier_shares: Mapping[str, tuple[float, ...]] = _stated(
        {
            "web": (0.38, 0.27, 0.20, 0.15),
            "partner": (0.30, 0.25, 0.25, 0.20),
            "referral": (0.35, 0.25, 0.25, 0.15),
            "field_sales": (0.15, 0.22, 0.28, 0.35),
            "phone": (0.35, 0.25, 0.22, 0.18),
        },
        "share",
        "plan bought, in the order of PLANS, by channel",
    )
    annual_share: Mapping[str, float] = _stated(
        {"web": 0.40, "partner": 0.50, "referral": 0.50, "field_sales": 0.55, "phone": 0.35},
        "share",
        "annual contracts, by channel",
    )

    baseline_hazard: Mapping[int, float] = _stated(
        {0: 0.030, 3: 0.021, 12: 0.015, 24: 0.011},
        "per billing period",
        "reference hazard from this period of the subscription on (0 is the first)",
    )
    hazard_ratios: Mapping[str, float] = _stated(
        {
            "annual_contract": 0.35,
            "channel_partner": 1.25,
            "channel_referral": 0.70,
            "channel_field_sales": 1.50,
            "channel_phone": 1.00,
            "tier_middle": 1.15,
            "tier_high": 1.40,
            "returned": 1.30,
            "rescheduled_installation": 2.40,
            "failed_payment": 2.20,
            "two_handoffs": 2.00,
            "low_sentiment": 1.60,
            "checked_contract_terms": 1.00,
        },
        "hazard ratio",
        "factor on the hazard of leaving in a billing period",
    )
    cause_shares: Mapping[str, float] = _stated(
        {"price": 0.38, "service": 0.26, "moved": 0.24, "payment": 0.12},
        "share",
        "causes of the reference customer's leaving",
    )
    cause_odds: Mapping[str, Mapping[str, float]] = _stated(
        {
            "annual_contract": {"price": 0.6, "moved": 1.6},
            "tier_high": {"price": 1.8},
            "rescheduled_installation": {"service": 3.0},
            "failed_payment": {"payment": 9.0},
            "two_handoffs": {"service": 4.0},
            "low_sentiment": {"service": 2.5},
        },
        "odds ratio",
        "factor on the odds of a cause, given that the customer leaves",
    )
    friction_periods: int = _stated(
        3, "billing periods", "how long rescheduled_installation raises the hazard"
    )
    technician_share: float = _stated(
        0.45, "share", "installations by a technician, which itself has no effect"
    )
    reschedule_share: float = _stated(
        0.40, "share of technician visits", "the friction: the visit is moved by one or two weeks"
    )

    renewal_beta: tuple[float, float] = _stated(
        (0.30, 1.50), "a, b of Beta(a, b)", "probability to decline the end of a term"
    )
    offer_days: int = _stated(35, "days", "renewal offer before the term ends")
    price_rise: float = _stated(0.03, "share of the price", "rise at half of the renewals")

    winback_share: Mapping[str, float] = _stated(
        {"price": 0.18, "service": 0.10, "moved": 0.03, "payment": 0.14, "not_renewed": 0.16},
        "share",
        "who ever returns, by cause of leaving",
    )
    winback_median_days: float = _stated(70.0, "days", "median of the lognormal delay to return")
    winback_sigma: float = _stated(0.6, "log days", "its spread")
    winback_least_days: float = _stated(14.0, "days", "added to the lognormal delay")

    fail_share: Mapping[str, float] = _stated(
        {"card": 0.045, "direct_debit": 0.015},
        "per billing period",
        "payments that fail, by method",
    )
    fail_again: float = _stated(0.20, "share", "payments that fail after one that failed")
    help_share: float = _stated(0.085, "per billing period", "customers who need help")
    help_more: Mapping[str, float] = _stated(
        {"first_period": 0.08, "rescheduled_installation": 0.12, "failed_payment": 0.18},
        "added per billing period",
        "what makes them need help more often",
    )
    topic_shares: tuple[float, ...] = _stated(
        (0.64, 0.26, 0.05, 0.05), "share", "technical, billing, moving, cancellation"
    )
    topic_shares_failed: tuple[float, ...] = _stated(
        (0.20, 0.76, 0.01, 0.03), "share", "the same in a period whose payment failed"
    )
    self_service_share: float = _stated(
        0.70, "share", "who tries self-service first (never about a cancellation)"
    )
    deflection: tuple[float, float] = _stated(
        (0.58, 0.38), "share before, after the drift", "self-service that solves the matter"
    )
    escalation: tuple[float, float] = _stated(
        (0.30, 0.46), "share before, after the drift", "tickets that the front desk hands on"
    )
    further_handoffs: tuple[float, ...] = _stated(
        (0.45, 0.33, 0.22), "share", "1, 2 or 3 handoffs of a ticket that is handed on"
    )
    handoff_median_hours: float = _stated(
        20.0, "hours", "median wait for each handoff, nights apart"
    )
    solved_share: tuple[float, float] = _stated(
        (0.94, -0.12), "share; per handoff", "tickets that are solved at once"
    )

    usual_mood: tuple[float, float] = _stated(
        (0.30, 0.42), "mean, standard deviation", "a customer's usual mood, -1 to 1 or so"
    )
    mood_memory: float = _stated(0.60, "share", "of the last mood that is left after a period")
    mood_noise: float = _stated(0.14, "mood", "standard deviation of a period's own mood")
    mood_effects: Mapping[str, float] = _stated(
        {
            "solved": 0.10,
            "unsolved": -0.45,
            "handoff": -0.20,
            "failed_payment": -0.15,
            "rescheduled_installation": -0.40,
        },
        "mood",
        "added to the mood of the period, for each handoff or event",
    )
    low_sentiment_below: float = _stated(-0.45, "mood", "a mood below this is low_sentiment")
    answer_shares: Mapping[str, float] = _stated(
        {"nps_half_year": 0.16, "nps_renewal": 0.35, "csat": 0.32, "ces": 0.30},
        "share",
        "who answers a survey",
    )
    nps_score: tuple[float, float, float] = _stated(
        (7.4, 2.4, 1.2), "score; per mood; standard deviation", "NPS, rounded into 0 to 10"
    )
    csat_score: tuple[float, ...] = _stated(
        (4.2, -1.9, -0.35, 0.7, 0.7),
        "score; unsolved; per handoff; per mood; standard deviation",
        "CSAT, rounded into 1 to 5",
    )
    ces_score: tuple[float, float, float] = _stated(
        (5.9, -2.6, 1.0),
        "score; rescheduled installation; standard deviation",
        "CES, rounded into 1 to 7 (7 is easiest)",
    )

    shopping: Mapping[str, float] = _stated(
        {
            "looks_online": 0.85,
            "looks_elsewhere": 0.45,
            "leaves_first_checkout": 0.22,
            "prospect_returns": 0.45,
            "prospect_tries_after_return": 0.65,
            "prospect_tries": 0.30,
            "prospect_names_e_mail": 0.60,
            "prospect_in_crm": 0.20,
        },
        "share",
        "buyers by channel and prospects who do this before they buy or give up",
    )
    app_users: float = _stated(0.65, "share", "customers who use the app")
    last_signs: Mapping[str, Mapping[str, float]] = _stated(
        {
            "price": {"plans": 0.50, "cancellation_ticket": 0.35},
            "service": {"plans": 0.05, "complaint_ticket": 0.45},
            "moved": {"plans": 0.05, "move": 0.60},
            "payment": {"plans": 0.05},
            "not_renewed": {"plans": 0.35, "cancellation_ticket": 0.25},
        },
        "share",
        "what customers do between the decision to leave and leaving, by cause: never a reason",
    )
    usual_signs: Mapping[str, float] = _stated(
        {"plans": 0.008, "move": 0.003},
        "per billing period",
        "who does the same without leaving",
    )
    decoy_share: tuple[float, float] = _stated(
        (0.010, 0.60),
        "per billing period; of who has decided to leave",
        "checked_contract_terms: a sign of leaving, never a reason",
    )

    purchase_rate: tuple[float, float] = _stated(
        (0.60, 10.0), "shape; rate in billing periods", "gamma-distributed rate of extra purchases"
    )
    purchase_value: tuple[float, float, float] = _stated(
        (6.0, 4.0, 9.0),
        "p, q; gamma in USD",
        "gamma-gamma value of an extra purchase, independent of how often",
    )

    def __post_init__(self) -> None:  # noqa: D105
        for name in [*self.hazard_ratios, *self.cause_odds]:
            if name not in CONDITIONS:
                raise unknown_name("condition", name, CONDITIONS)
        if not self.window_start < self.drift_at < self.observed_until:
            raise CxError(
                f"the drift at {self.drift_at} lies outside the window from {self.window_start} "
                f"to {self.observed_until}; set drift_at inside"
            )

    def hazard_ratio(self, condition: str) -> float:
        """Factor on the hazard of leaving; 1.0 for a condition that is not stated.

        Examples
        --------
        >>> PlantedTruth().hazard_ratio("annual_contract")
        0.35
        """
        return float(self.hazard_ratios.get(condition, 1.0))

    def cause_share(self, cause: str, conditions: tuple[str, ...] = ()) -> float:
        """Share of a cause among those who leave under some conditions.

        Examples
        --------
        >>> round(PlantedTruth().cause_share("payment", ("failed_payment",)), 3)
        0.551
        """
        if cause not in self.cause_shares:
            raise unknown_name("cause", cause, self.cause_shares)
        weights = {
            name: share * exp(sum(log(self._odds(each, name)) for each in conditions))
            for name, share in self.cause_shares.items()
        }
        return weights[cause] / sum(weights.values())

    def cause_hazard_ratio(self, cause: str, condition: str) -> float:
        """Factor of one condition on the hazard of one cause, for the reference customer.

        Examples
        --------
        >>> round(PlantedTruth().cause_hazard_ratio("service", "two_handoffs"), 2)
        4.49
        >>> round(PlantedTruth().cause_hazard_ratio("moved", "two_handoffs"), 2)
        1.12
        """
        ratio = self.cause_share(cause, (condition,)) / self.cause_share(cause)
        return self.hazard_ratio(condition) * ratio

    def renewal_rate(self, term: int) -> float:
        """Share of those who reach the end of a term (1 is the first) that renew.

        Examples
        --------
        >>> [round(PlantedTruth().renewal_rate(term), 3) for term in (1, 2, 3)]
        [0.833, 0.893, 0.921]
        """
        if term < 1:
            raise CxError(f"there is no term {term}; the first is 1")
        a, b = self.renewal_beta
        return (b + term - 1) / (a + b + term - 1)

    def _odds(self, condition: str, cause: str) -> float:
        return self.cause_odds.get(condition, {}).get(cause, 1.0)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Value, unit and meaning of each parameter, and what follows from them, as JSON takes it.

        Examples
        --------
        >>> PlantedTruth().as_dict()["period_days"]
        {'value': 30, 'unit': 'days', 'meaning': 'length of a billing period'}
        """
        stated = {
            item.name: {"value": _plain(getattr(self, item.name)), **item.metadata}
            for item in fields(self)
        }
        by_cause = {
            condition: {
                cause: round(self.cause_hazard_ratio(cause, condition), 6) for cause in CAUSES
            }
            for condition in self.hazard_ratios
        }
        stated["cause_hazard_ratios"] = {
            "value": by_cause,
            "unit": "hazard ratio",
            "meaning": "follows: factor on the hazard of a cause, for the reference customer",
        }
        stated["renewal_rates"] = {
            "value": {str(term): round(self.renewal_rate(term), 6) for term in range(1, 8)},
            "unit": "share",
            "meaning": "follows: renewals of those who reach the end of a term, by term number",
        }
        return stated


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def planted_truth() -> PlantedTruth:
    """Parameters that the demo company is simulated with.

    Returns
    -------
    PlantedTruth
        Frozen. ``dataclasses.replace`` gives a company with another truth, to hand to
        ``simulate_company``: with every ratio at 1, for example, to see what a method finds where
        there is nothing.

    Examples
    --------
    >>> truth = planted_truth()
    >>> truth.hazard_ratios["failed_payment"], truth.hazard_ratios["checked_contract_terms"]
    (2.2, 1.0)
    >>> truth.drift_at.date().isoformat()
    '2024-03-01'
    """
    return PlantedTruth()
