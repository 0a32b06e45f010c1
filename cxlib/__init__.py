"""Customer-journey analytics: one view of each customer, journey flows, churn and renewal.

Every public name is imported when it is first used, so that ``import cxlib`` is quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "CxError": "cxlib.errors",
    "CxWarning": "cxlib.errors",
    "parse_moment": "cxlib.spans",
    "parse_span": "cxlib.spans",
    "build_store": "cxlib.build",
    "fit_calibration": "cxlib.ingest.texts",
    "text_sentiment": "cxlib.ingest.texts",
    "connect": "cxlib.engine.connect",
    "Journeys": "cxlib.journeys.log",
    "journeys_from_frame": "cxlib.journeys.frames",
    "load_journeys": "cxlib.journeys.log",
    "split_journeys": "cxlib.journeys.verbs",
    "keep_events": "cxlib.journeys.verbs",
    "keep_journeys": "cxlib.journeys.verbs",
    "assign_stages": "cxlib.journeys.verbs",
    "merge_repeats": "cxlib.journeys.verbs",
    "materialize": "cxlib.journeys.verbs",
    "add_customer_columns": "cxlib.journeys.verbs",
    "add_count": "cxlib.journeys.related",
    "add_first": "cxlib.journeys.related",
    "add_last": "cxlib.journeys.related",
    "add_nth": "cxlib.journeys.related",
    "add_total": "cxlib.journeys.related",
    "flows": "cxlib.journeys.paths",
    "transitions": "cxlib.journeys.paths",
    "step_matrix": "cxlib.journeys.steps",
    "common_paths": "cxlib.journeys.variants",
    "subsequences": "cxlib.journeys.frequent",
    "next_steps": "cxlib.journeys.following.bets",
    "path_memory": "cxlib.journeys.following.memory",
    "funnel": "cxlib.journeys.conversion.measures",
    "conversion_times": "cxlib.journeys.conversion.measures",
    "abandonment": "cxlib.journeys.funnels",
    "dropoff": "cxlib.journeys.funnels",
    "WorkingHours": "cxlib.journeys.departments.calendars",
    "add_indicators": "cxlib.journeys.indicators",
    "sequence_indicators": "cxlib.journeys.indicators",
    "add_handoffs": "cxlib.journeys.departments.measures",
    "escalation": "cxlib.journeys.departments.contacts",
    "handoffs": "cxlib.journeys.departments.measures",
    "handoffs_per_journey": "cxlib.journeys.departments.measures",
    "ping_pong": "cxlib.journeys.departments.measures",
    "repeat_contact": "cxlib.journeys.departments.contacts",
    "compare": "cxlib.journeys.comparing.comparison",
    "retention": "cxlib.journeys.retention",
    "lifecycle": "cxlib.journeys.activity",
    "stickiness": "cxlib.journeys.activity",
    "reentry": "cxlib.journeys.returns",
    "customer_timeline": "cxlib.journeys.samples",
    "sample_events": "cxlib.journeys.samples",
    "summary": "cxlib.journeys.overview",
    "stage_times": "cxlib.journeys.stages",
    "stage_transitions": "cxlib.journeys.stages",
    "JourneyMap": "cxlib.journeys.maps",
    "load_journey_map": "cxlib.journeys.maps",
    "add_fitness": "cxlib.journeys.planned.measures",
    "deviation_outcomes": "cxlib.journeys.planned.outcomes",
    "step_evidence": "cxlib.journeys.planned.suggest",
    "actual_steps": "cxlib.journeys.planned.actual",
    "suggest_map": "cxlib.journeys.planned.suggest",
    "plan_deviations": "cxlib.journeys.planned.measures",
    "planned_vs_actual": "cxlib.journeys.planned.measures",
    "History": "cxlib.models.outcomes.histories",
    "covariate_history": "cxlib.models.outcomes.histories",
    "risk_rows": "cxlib.models.outcomes.counting",
    "risk_table": "cxlib.models.outcomes.counting",
    "spell_counts": "cxlib.models.outcomes.counting",
    "ChurnRule": "cxlib.models.outcomes.rules",
    "contract_terms": "cxlib.models.outcomes.terms",
    "landmark": "cxlib.models.outcomes.landmarks",
    "renewal_rates": "cxlib.models.outcomes.terms",
    "Spells": "cxlib.models.outcomes.episodes",
    "spells": "cxlib.models.outcomes.episodes",
    "time_to_event": "cxlib.models.outcomes.durations",
    "customer_value": "cxlib.models.value.lifetime",
    "purchase_summary": "cxlib.models.value.history",
    "spend_summary": "cxlib.models.value.history",
    "fit_bg_bb": "cxlib.models.value.purchases",
    "fit_bg_nbd": "cxlib.models.value.purchases",
    "fit_mbg_nbd": "cxlib.models.value.purchases",
    "fit_nbd": "cxlib.models.value.purchases",
    "fit_pareto_nbd": "cxlib.models.value.purchases",
    "fit_gamma_gamma": "cxlib.models.value.spending",
    "fit_bdw": "cxlib.models.renewals",
    "fit_sbg": "cxlib.models.renewals",
    "fit_discrete_hazard": "cxlib.models.regression",
    "fit_fine_gray": "cxlib.models.regression",
    "fit_cox": "cxlib.models.regression",
    "fit_aft": "cxlib.models.regression",
    "fit_penalized_cox": "cxlib.models.regression",
    "fit_cure": "cxlib.models.regression",
    "calibration": "cxlib.models.prediction.validation",
    "followed_after": "cxlib.models.prediction.validation",
    "validate_survival": "cxlib.models.prediction.validation",
    "score_customers": "cxlib.models.prediction.scoring",
    "mean_cumulative": "cxlib.models.recurrent",
    "recurrent_rows": "cxlib.models.recurrent",
    "return_times": "cxlib.models.recurrent",
    "rfm_segments": "cxlib.models.segments",
    "cumulative_incidence": "cxlib.models.survival.competing",
    "gray_test": "cxlib.models.survival.competing",
    "expected_events": "cxlib.models.survival.comparisons",
    "logrank": "cxlib.models.survival.comparisons",
    "pairwise_tests": "cxlib.models.survival.comparisons",
    "survival_test": "cxlib.models.survival.comparisons",
    "at_risk_table": "cxlib.models.survival.curves",
    "conditional_survival": "cxlib.models.survival.curves",
    "cumulative_hazards": "cxlib.models.survival.curves",
    "survival_curves": "cxlib.models.survival.curves",
    "median_survival": "cxlib.models.survival.quantiles",
    "survival_quantiles": "cxlib.models.survival.quantiles",
    "compare_restricted_means": "cxlib.models.survival.restricted",
    "restricted_means": "cxlib.models.survival.restricted",
    "open_store": "cxlib.engine.store",
    "planted_truth": "cxlib.demo",
    "simulate_company": "cxlib.demo",
}

__all__ = ["__version__", "plot", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name == "plot":
        return import_module("cxlib.plot")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    from cxlib.errors import unknown_name

    raise AttributeError(str(unknown_name("name", name, __all__, "in cxlib")))


def __dir__() -> list[str]:
    return sorted(__all__)
