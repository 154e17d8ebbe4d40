"""What the file states of the sample, and the rheometer's shear rate beside the fitted one, in sentences."""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.kernels import factors_to_other_convention
from homodyne_lib.results.draws import mean_and_sd
from report_text.dataset import Dataset
from report_text.sentences import estimate, flow_found, flow_held, limit_only
from report_text.wording import escape, plain_number, quantity

__all__ = ["sample_text"]


def sample_text(results: Dataset) -> str:
    """Say what the file states of the sample; nothing where it states nothing.

    Where it states a shear rate, that is compared with the mean of the fitted one over the record, as quoted and as the
    other shear convention would give it.

    Parameters
    ----------
    results : Dataset

    Returns
    -------
    str
        Markdown.
    """
    sample = results.header["sample"]
    if not sample.in_words:
        return ""
    text = f"The file states of the sample: {escape(sample.in_words)}."
    if sample.shear_rate is None:
        return text
    return f"{text} {_compared(results, sample.shear_rate)}"


def _compared(results: Dataset, rate: float) -> str:
    """The rate of the rheometer [1/s] beside the fitted one."""
    if flow_found(results) is None:
        return "The model has no flow, so that nothing is compared with the rheometer's rate."
    convention = results.fit.shear_convention
    other, factors = factors_to_other_convention(convention)
    stated = f"The rheometer's rate, {plain_number(rate, exact=True)} 1/s,"
    mean = results.average("gamma_dot")
    if limit_only(results):
        limit = float(np.quantile(mean, 0.95))
        ratios = [plain_number(rate / limit / factor, 2) for factor in factors[::-1]]
        return (
            f"{stated} is {plain_number(rate / limit, 2)} times the limit below which the mean shear rate over the record "
            f"lies with 95 % probability, {plain_number(limit, 2)} 1/s in convention {convention}, and {ratios[0]} to "
            f"{ratios[1]} times that limit in convention {other}."
        )
    # The uncertainty is that of the fit alone, as files state none of the rheometer's.
    own, source = quantity(*mean_and_sd(rate / mean)), "held" if flow_held(results) else "fitted"
    ratios = [plain_number(rate / float(np.mean(mean)) / factor, 2) for factor in factors[::-1]]
    return (
        f"{stated} is {own} times the {source} mean shear rate over the record in convention {convention}, "
        f"{estimate(mean, '1/s')}, and {ratios[0]} to {ratios[1]} times that in convention {other}. An error of the gap "
        "or of q changes these ratios by its own factor; slip at a wall makes them larger."
    )
