"""How a function of a parameter vector runs.

With JAX it is differentiated automatically and mapped over a batch; without, the same lines run with differences and a
loop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from homodyne_lib.backend import as_arrays, is_traced, load_jax, select_physics_backend
from homodyne_lib.numpy_gradients import numpy_gradient, numpy_hessian

__all__ = ["derivative", "over_batch", "parameter_vector"]


def parameter_vector(params):
    """Return parameters as a vector of the selected backend.

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)

    Returns
    -------
    array, shape of params

    Raises
    ------
    ValueError
        For another shape, or a value that is not finite (a traced one passes).
    """
    (params,) = as_arrays(params)
    if params.ndim != 1 or params.shape[0] not in (3, 7):
        raise ValueError(
            f"params must be a vector of 3 (static) or 7 (laminar_flow) numbers; found shape {tuple(params.shape)}."
        )
    if not is_traced(params) and not np.all(np.isfinite(params)):
        raise ValueError(f"params = {np.asarray(params).tolist()} hold a value that is not finite; correct it.")
    return params


_DERIVATIVE_DOC = """{which} derivatives of :func:`{name}` with respect to its parameters.

Parameters
----------
params : array_like, shape (3,) or (7,)
    In the units of the parameter table.
*args, **kwargs
    The arguments of :func:`{name}` after ``params``.

Returns
-------
array, shape of :func:`{name}` + {shape}
    Automatic with JAX, numerical without; per unit of the parameter table.

Raises
------
ValueError, TypeError
    As :func:`{name}`.
"""


def derivative(func: Callable, order: int, name: str) -> Callable:
    """Make the derivative of a function with respect to its first argument.

    Parameters
    ----------
    func : callable
        Of a parameter vector and anything else.
    order : int
        1 or 2.
    name : str
        Of the derivative.

    Returns
    -------
    callable
        Takes the arguments of ``func``.
    """

    def differentiated(params, *args, **kwargs):
        def of_params(p):
            return func(p, *args, **kwargs)

        params = parameter_vector(params)
        if select_physics_backend() == "numpy":
            return (numpy_gradient if order == 1 else numpy_hessian)(of_params)(params)
        jacfwd = load_jax().jacfwd
        slope = jacfwd(of_params)
        return (slope if order == 1 else jacfwd(slope))(params)

    which, shape = {1: ("First", "(n_params,)"), 2: ("Second", "(n_params, n_params)")}[order]
    differentiated.__doc__ = _DERIVATIVE_DOC.format(which=which, name=func.__name__, shape=shape)
    differentiated.__name__ = differentiated.__qualname__ = name
    differentiated.__module__ = func.__module__
    return differentiated


def over_batch(func: Callable, params_batch, args: tuple, kwargs: dict):
    """Call a function with each row of a batch of parameters.

    Parameters
    ----------
    func : callable
        Of a parameter vector and anything else.
    params_batch : array_like, shape (n_batch, n_params)
    args, kwargs : tuple, dict
        Further arguments of ``func``.

    Returns
    -------
    array, shape (n_batch, ...)

    Raises
    ------
    ValueError
        If the batch is no matrix.
    """
    (batch,) = as_arrays(params_batch)
    if batch.ndim != 2:
        raise ValueError(f"params_batch must have shape (n_batch, n_params); found {tuple(batch.shape)}.")
    if select_physics_backend() == "jax":
        return load_jax().vmap(lambda p: func(p, *args, **kwargs))(batch)
    return np.stack([func(p, *args, **kwargs) for p in batch])
