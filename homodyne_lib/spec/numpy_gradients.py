"""Derivatives from function values alone: the gradients where JAX is missing, their check where it is not.

Step rule. The spec (section 9) steps h = clip((2ε |f| / |f''|)^(1/3), 1e-15, 1e-3), with f'' from a step
|x| √ε. That root has the unit of x only where x is of order one, that f'' is rounding noise, and the clip is
absolute: 1e-3 for D0 = 1e4. Here the same balance of rounding and truncation is free of units:

* length ℓ = sqrt(|f| / |f''|) over which func bends, from a second difference over ε^(1/4) ℓ, repeated until
  ℓ settles; at most |x| where a bend is seen, else grown to max(|x|, 1);
* step h = (2ε)^(1 / (k + d)) ℓ for the d-th derivative by a formula of order k (the spec's cube root if it is
  central), rounded to a power of two so that x ± h is exact.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

import numpy as np

__all__ = ["GRADIENT_METHODS", "GradientConfig", "numpy_gradient", "numpy_hessian"]

GRADIENT_METHODS = ("forward", "backward", "central", "complex_step", "richardson", "adaptive")

_EPS = float(np.finfo(float).eps)
_COMPLEX_STEP = 2.0**-66  # of the length: its square is far below ε, and nothing cancels
_BEND_SEEN = 100 * _EPS  # second difference over |f| that rounding does not make
_MAX_PROBES = 8
_MAX_WORKERS = 8
_THREADS_FROM = 5e-3  # [s] of one evaluation; starting threads costs some 1e-4 s each

# Method -> ((offset in steps, weight), ...) and its order.
_STENCILS = {
    "forward": (((1, 1.0), (0, -1.0)), 1),
    "backward": (((0, 1.0), (-1, -1.0)), 1),
    "central": (((1, 0.5), (-1, -0.5)), 2),
}
_CENTRAL = _STENCILS["central"][0]


@dataclass(frozen=True)
class GradientConfig:
    """How a numerical derivative is taken.

    Attributes
    ----------
    method : str
        ``forward``, ``backward`` (error O(h)), ``central`` (O(h²)), ``complex_step`` (rounding),
        ``richardson`` (O(h^(2 n_terms))), or ``adaptive``: for each parameter the complex step, where func
        takes complex numbers and it agrees with a central difference, else ``richardson``.
    step_size : float, optional
        Step h of real differences; the largest one of ``richardson``. Without it, the rule of this module.
        The result of a complex step does not depend on its size, which is fixed.
    n_terms : int
        Steps h, h/2, h/4, ... that ``richardson`` extrapolates.
    n_workers : int, optional
        Threads, at most; without it min(8, n_params). They are used only where an evaluation takes longer
        than 5 ms, and never change the result. Set 1 for a func that may not run twice at the same time.

    Raises
    ------
    ValueError
        For an unknown method, or a number that is not positive.
    """

    method: str = "adaptive"
    step_size: float | None = None
    n_terms: int = 4
    n_workers: int | None = None

    def __post_init__(self) -> None:
        if self.method not in GRADIENT_METHODS:
            known = ", ".join(GRADIENT_METHODS)
            raise ValueError(f"gradient method {self.method!r} does not exist; choose one of {known}.")
        for name in ("step_size", "n_terms", "n_workers"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value} must be finite and positive.")


class _Point:
    """A function at a point: its value, values nearby, and the length over which it bends along an axis."""

    def __init__(self, func: Callable, x: np.ndarray, config: GradientConfig) -> None:
        self.func, self.x, self.config = func, x, config
        started = time.perf_counter()
        self.f0 = np.asarray(func(x), dtype=float)
        self.is_slow = time.perf_counter() - started > _THREADS_FROM
        if not np.all(np.isfinite(self.f0)):
            raise ValueError(f"func is not finite at {x.tolist()}: it has no derivative there.")

    def at(self, *shifts: tuple[int, complex]) -> np.ndarray:
        y = self.x.astype(complex if any(isinstance(s, complex) for _, s in shifts) else float)
        for i, shift in shifts:
            y[i] += shift
        return self.f0 if np.array_equal(y, self.x) else np.asarray(self.func(y))

    def map(self, task: Callable, items: Iterable) -> list:
        workers = self.config.n_workers or min(_MAX_WORKERS, self.x.size)
        if workers == 1 or not self.is_slow:
            return [task(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(task, items))

    def length(self, i: int) -> float:
        length = float(abs(self.x[i])) or 1.0
        longest = max(length, 1.0)
        if self.config.step_size is not None and self.config.method in (*_STENCILS, "richardson"):
            return length  # nothing depends on it
        for _ in range(_MAX_PROBES):
            h = _EPS**0.25 * length
            above, below = self.at((i, h)), self.at((i, -h))
            scale = max(np.max(np.abs(f), initial=0.0) for f in (above, self.f0, below))
            bend = np.max(np.abs(above - 2 * self.f0 + below), initial=0.0)
            if not np.isfinite(bend):  # the probe left the domain of func
                length /= 1000
            elif bend <= _BEND_SEEN * scale:
                if length == longest:
                    break
                length = longest
            else:
                seen = h * float(np.sqrt(scale / bend))
                if seen > 0.1 * length:
                    return min(seen, length)
                length = seen
        return length

    def step(self, length: float, order: int, derivative: int) -> float:
        return self.config.step_size or _step(length, order, derivative)

    def complex_step(self, i: int, length: float, *shifts: tuple[int, float]) -> np.ndarray:
        h = _COMPLEX_STEP * length
        try:
            value = self.at((i, 1j * h), *shifts)
        except np.exceptions.ComplexWarning as error:
            raise TypeError("func casts complex numbers to real ones; choose richardson.") from error
        if not np.iscomplexobj(value):
            raise TypeError(f"func answers complex numbers with {value.dtype} ones; choose richardson.")
        return value.imag / h

    def takes_complex(self, i: int, length: float) -> bool:
        """Whether the complex step along parameter i works and agrees with a central difference."""
        try:
            exact = self.complex_step(i, length)
        except (TypeError, ValueError):
            return False
        central = _first(self, i, _step(length, 2, 1), _CENTRAL)
        # 1e-8 |f|/ℓ is a hundred times the rounding and truncation error of the central difference.
        atol = 1e-8 * np.max(np.abs(self.f0), initial=0.0) / length
        return np.allclose(exact, central, rtol=1e-5, atol=atol)


def _step(length: float, order: int, derivative: int) -> float:
    return float(2.0 ** np.round(np.log2((2 * _EPS) ** (1 / (order + derivative)) * length)))


def _first(point: _Point, i: int, h: float, stencil) -> np.ndarray:
    return sum(w * point.at((i, k * h)) for k, w in stencil) / h


def _second(point: _Point, i: int, j: int, hi: float, hj: float, stencil) -> np.ndarray:
    return sum(v * w * point.at((i, k * hi), (j, m * hj)) for k, v in stencil for m, w in stencil) / (hi * hj)


def _complex_second(point: _Point, i: int, j: int, length: float, hj: float) -> np.ndarray:
    """Central difference along j of the complex step along i, which carries rounding error only."""
    return sum(w * point.complex_step(i, length, (j, k * hj)) for k, w in _CENTRAL) / hj


def _neville(estimate: Callable[[float], np.ndarray], n_terms: int) -> np.ndarray:
    """Extrapolate an estimate whose error is even in the step from the steps 1, 1/2, 1/4, ... to zero."""
    rows = [estimate(0.5**k) for k in range(n_terms)]
    for m in range(1, n_terms):
        rows = [finer + (finer - coarser) / (4**m - 1) for coarser, finer in pairwise(rows)]
    return rows[0]


def _gradient_entry(point: _Point, i: int) -> np.ndarray:
    method, n_terms = point.config.method, point.config.n_terms
    if method == "complex_step":
        return point.complex_step(i, abs(point.x[i]) or 1.0)
    length = point.length(i)
    if method in _STENCILS:
        stencil, order = _STENCILS[method]
        return _first(point, i, point.step(length, order, 1), stencil)
    if method == "adaptive" and point.takes_complex(i, length):
        return point.complex_step(i, length)
    h = point.step(length, 2 * n_terms, 1)
    return _neville(lambda s: _first(point, i, s * h, _CENTRAL), n_terms)


def _hessian_entry(point: _Point, i: int, j: int, lengths: list[float], is_complex: list[bool]) -> np.ndarray:
    method, n_terms = point.config.method, point.config.n_terms
    if method in _STENCILS:
        stencil, order = _STENCILS[method]
        return _second(point, i, j, *(point.step(lengths[k], order, 2) for k in (i, j)), stencil)
    if is_complex[i] or is_complex[j]:
        i, j = (i, j) if is_complex[i] else (j, i)
        h = point.step(lengths[j], 2 * n_terms, 1)
        return _neville(lambda s: _complex_second(point, i, j, lengths[i], s * h), n_terms)
    hi, hj = (point.step(lengths[k], 2 * n_terms, 2) for k in (i, j))
    return _neville(lambda s: _second(point, i, j, s * hi, s * hj, _CENTRAL), n_terms)


def _hessian_entries(point: _Point, shape: tuple[int, ...]) -> np.ndarray:
    n, method = point.x.size, point.config.method
    lengths = point.map(point.length, range(n))
    is_complex = [method == "complex_step"] * n
    if method == "adaptive":
        is_complex = point.map(lambda i: point.takes_complex(i, lengths[i]), range(n))
    pairs = list(combinations_with_replacement(range(n), 2))
    entries = point.map(lambda ij: _hessian_entry(point, *ij, lengths, is_complex), pairs)
    result = np.empty((n, n, *point.f0.shape))
    for (i, j), entry in zip(pairs, entries, strict=True):
        result[i, j] = result[j, i] = entry
    return np.moveaxis(result, (0, 1), (-2, -1)).reshape(point.f0.shape + shape + shape)


def _gradient_entries(point: _Point, shape: tuple[int, ...]) -> np.ndarray:
    entries = point.map(lambda i: _gradient_entry(point, i), range(point.x.size))
    return np.stack(entries, axis=-1).reshape(point.f0.shape + shape)


def _differentiator(func: Callable, argnums: int, config: GradientConfig, entries: Callable) -> Callable:
    def derivative(*args, **kwargs) -> np.ndarray:
        if not -len(args) <= argnums < len(args):
            raise ValueError(f"argnums = {argnums}, but {len(args)} arguments were given; it counts from 0.")
        if np.iscomplexobj(args[argnums]):
            raise TypeError(f"argument {argnums} is complex; derivatives are taken at real numbers.")
        x = np.asarray(args[argnums], dtype=float)
        if x.size == 0 or not np.all(np.isfinite(x)):
            raise ValueError(f"argument {argnums} = {x.tolist()} must hold at least one number, all finite.")

        def of_vector(y: np.ndarray):
            given = list(args)
            given[argnums] = y.reshape(x.shape)
            return func(*given, **kwargs)

        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return entries(_Point(of_vector, x.ravel(), config), x.shape)

    return derivative


def numpy_gradient(func: Callable, argnums: int = 0, config: GradientConfig | None = None) -> Callable:
    """Make the function of the numerical gradient (Jacobian, if func returns an array; spec section 9).

    Parameters
    ----------
    func : callable
        ``func(*args, **kwargs)`` returns a number or an array.
    argnums : int
        Position of the argument to differentiate by: a number or an array of numbers.
    config : GradientConfig, optional
        Method, step and threads; adaptive without it.

    Returns
    -------
    callable
        ``gradient(*args, **kwargs)`` returns an ndarray of shape ``func(*args).shape + args[argnums].shape``.

    Raises
    ------
    ValueError
        By the returned function: no such argument, or argument or value of func not finite.
    TypeError
        By the returned function: the argument is complex; or func is not, and the method is ``complex_step``.
    """
    return _differentiator(func, argnums, config or GradientConfig(), _gradient_entries)


def numpy_hessian(func: Callable, argnums: int = 0, config: GradientConfig | None = None) -> Callable:
    """Make the function of the numerical second derivatives, symmetric by construction (spec section 9).

    Differences of differences; extrapolated differences of complex steps where func takes complex numbers.

    Parameters
    ----------
    func, argnums, config
        As in :func:`numpy_gradient`.

    Returns
    -------
    callable
        ``hessian(*args, **kwargs)`` returns an ndarray of shape
        ``func(*args).shape + args[argnums].shape + args[argnums].shape``.

    Raises
    ------
    ValueError, TypeError
        As :func:`numpy_gradient`.
    """
    return _differentiator(func, argnums, config or GradientConfig(), _hessian_entries)
