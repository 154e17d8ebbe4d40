"""Derivatives with respect to parameters: automatic and compiled once with JAX, differences of the same lines without."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature

from homodyne_lib.model.backend import load_jax, select_physics_backend
from homodyne_lib.model.checks import check_parameters
from homodyne_lib.spec.numpy_gradients import numpy_gradient, numpy_hessian

__all__ = ["derivative"]

_DOC = """{which} derivatives of :func:`{name}` with respect to its parameters (spec section 5).

With JAX they are automatic, and compiled at the first call with arrays of given shapes; without it they are numerical.

Parameters
----------
params : array_like, shape (3,) or (7,)
    In the units of the parameter table.
*args, **kwargs
    The arguments of :func:`{name}` after ``params``.

Returns
-------
array, shape of :func:`{name}` + {shape}
    Per unit of the parameter table.

Raises
------
ValueError, TypeError
    As :func:`{name}`.
"""


def derivative(func: Callable, arguments: Callable, kernel: Callable, order: int, name: str, scalar: bool) -> Callable:
    """Make the derivative of a public function with respect to its first argument.

    Parameters
    ----------
    func : callable
        ``func(params, ..., shear_convention)``.
    arguments : callable
        Checks what lies between the two, and returns a tuple of arrays.
    kernel : callable
        ``kernel(params, *arrays, shear_convention)`` computes what ``func`` returns.
    order : int
        1 or 2.
    name : str
        Of the derivative.
    scalar : bool
        Whether ``func`` returns one number.

    Returns
    -------
    callable
        Takes the arguments of ``func``.
    """
    taken = signature(func)

    @cache
    def fast():
        jax = load_jax()
        # One backward pass gives all slopes of a number; of an array, one forward pass a parameter is cheaper.
        slope = (jax.grad if scalar else jax.jacfwd)(kernel)
        return jax.jit(slope if order == 1 else jax.jacfwd(slope), static_argnames="shear_convention")

    def differentiated(*args, **kwargs):
        given = taken.bind(*args, **kwargs)
        given.apply_defaults()
        params, *others, shear_convention = given.args
        params, arrays = check_parameters(params), arguments(*others)
        if select_physics_backend() == "jax":
            return fast()(params, *arrays, shear_convention=shear_convention)
        return (numpy_gradient if order == 1 else numpy_hessian)(kernel)(params, *arrays, shear_convention)

    which, shape = {1: ("First", "(n_params,)"), 2: ("Second", "(n_params, n_params)")}[order]
    differentiated.__doc__ = _DOC.format(which=which, name=func.__name__, shape=shape)
    differentiated.__name__ = differentiated.__qualname__ = name
    differentiated.__module__, differentiated.__signature__ = func.__module__, taken
    return differentiated
