"""Whether what a user wants of a search can be had: where it starts, what is held, and between which bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homodyne_lib.model.parameters import PARAMETERS, PHYSICAL
from homodyne_lib.model.scales import interval_of, nearest_image

__all__ = ["check_search"]


def check_search(
    names: Sequence[str],
    n_starts: int,
    start: Mapping[str, float],
    fixed: Mapping[str, float],
    bounds: Mapping[str, Sequence[float]],
) -> None:
    """Refuse what no fit of a model can begin with.

    Parameters
    ----------
    names : sequence of str
        Physical parameters of the model.
    n_starts : int
        Size of the search.
    start, fixed, bounds : mapping
        By parameter name [units of the parameter table].

    Raises
    ------
    ValueError
        If a bound, a start or a fixed value is outside the table's bounds, a name is unknown, all parameters are fixed, or
        there is neither a start nor a search.
    """
    for name in bounds:
        # One configuration may serve several models. Contrast and offset are linear, and have no bounds.
        if name not in PHYSICAL:
            raise ValueError(f"bounds names {name!r}, which is no physical parameter; known are {', '.join(PHYSICAL)}.")
        interval_of(name, bounds)
    for what, values in (("fixed", fixed), ("start", start)):
        for name, value in values.items():
            if name not in names:
                raise ValueError(
                    f"{what} names {name!r}, which is no parameter of this model; it has {', '.join(names)}."
                )
            low, high = interval_of(name, bounds)
            if not low <= nearest_image([name], value, 0.5 * (low + high))[0] <= high:
                told = f"{what} {name} = {value:g} {PARAMETERS[name].unit}".strip()
                raise ValueError(f"{told} is outside [{low:g}, {high:g}].")
    if len(fixed) == len(names):
        raise ValueError(f"fixed holds all of {', '.join(names)}; leave out at least one, so that there is a fit.")
    if n_starts < 1 and not start:
        raise ValueError("starts is 0 and start gives no values; a fit needs one or the other.")
