"""The specification's equations as slow double loops: the oracle of the tests, sharing no line with ours.

Every pair of frames sums its own trapezoids from i to j; nothing is cumulative, vectorised or differenced.
"""

from __future__ import annotations

import math

import numpy as np

FLOOR = 1e-10
SHEAR = {
    "spec": (1.0, 2),
    "published": (math.pi, 1),
}  # factor on the phase q L cos ∫γ̇ dt / 2π, power of the sinc in g1


def rate(t, dt, amplitude, exponent, offset):
    """amplitude t^exponent + offset at each time, with t held at max(dt/2, 1e-8) and the rate at 1e-10."""
    values = []
    for time in t:
        held = max(float(time), 0.5 * dt, 1e-8)
        value = amplitude * held**exponent + offset
        values.append(value if value > FLOOR else FLOOR)
    return np.array(values)


def integral_in_steps(values, i, j):
    """√(S² + 1e-12) of the trapezoid sum S of the values from frame i to frame j; no dt."""
    total = 0.0
    for k in range(min(i, j), max(i, j)):
        total += 0.5 * (values[k] + values[k + 1])
    return math.sqrt(total * total + 1e-12)


def sinc(x):
    """sin x / x, and its limit at zero."""
    return 1.0 if x == 0.0 else math.sin(x) / x


def g1_diffusion(params, t, q, dt):
    """exp(-½ q² dt ∫D) of every pair, shape (n, n); the exponent held at -700."""
    diffusion = rate(t, dt, *params[:3])
    n = len(t)
    g1 = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            g1[i, j] = math.exp(max(-0.5 * q * q * dt * integral_in_steps(diffusion, i, j), -700.0))
    return g1


def g1_shear(params, t, phi, q, L, dt, convention="spec"):
    """sinc(scale · q L dt / 2π · cos(φ0 - φ) ∫γ̇)^power of every pair, shape (P, n, n); static: ones."""
    n = len(t)
    g1 = np.ones((len(phi), n, n))
    if len(params) == 3:
        return g1
    scale, power = SHEAR[convention]
    shear = rate(t, dt, *params[3:6])
    for k, angle in enumerate(phi):
        per_step = scale * q * L * dt / (2.0 * math.pi) * math.cos(math.radians(params[6] - angle))
        for i in range(n):
            for j in range(n):
                g1[k, i, j] = sinc(per_step * integral_in_steps(shear, i, j)) ** power
    return g1


def g1_total(params, t, phi, q, L, dt, convention="spec"):
    """Product of both factors, held at 1e-10 in magnitude; shape (P, n, n)."""
    product = g1_diffusion(params, t, q, dt)[None] * g1_shear(params, t, phi, q, L, dt, convention)
    held = np.empty_like(product)
    for index, value in np.ndenumerate(product):
        held[index] = value if abs(value) > FLOOR else FLOOR
    return held


def g2(params, t, phi, q, L, contrast, offset, dt, convention="spec"):
    """offset + contrast g1² of every pair, shape (P, n, n); contrast and offset: numbers or one an angle."""
    g1 = g1_total(params, t, phi, q, L, dt, convention)
    contrast, offset = np.broadcast_to(contrast, len(phi)), np.broadcast_to(offset, len(phi))
    model = np.empty_like(g1)
    for (k, i, j), value in np.ndenumerate(g1):
        model[k, i, j] = offset[k] + contrast[k] * value * value
    return model


def chi_squared(data, model, sigma, strict_upper=False):
    """Σ((data - model)/σ)² over every entry, or over each pair i < j once."""
    sigma = np.broadcast_to(sigma, np.shape(data))
    total = 0.0
    for (k, i, j), value in np.ndenumerate(np.asarray(data)):
        if i < j or not strict_upper:
            total += ((value - model[k, i, j]) / sigma[k, i, j]) ** 2
    return total


def central_difference(function, x, relative_step=1e-5):
    """Derivatives of an array-valued function (error O(h²)); the entries of x are the last axis."""
    columns = []
    for k in range(len(x)):
        step = relative_step * max(abs(x[k]), 1e-3)
        up, down = np.array(x, dtype=float), np.array(x, dtype=float)
        up[k] += step
        down[k] -= step
        columns.append((np.asarray(function(up)) - np.asarray(function(down))) / (up[k] - down[k]))
    return np.stack(columns, axis=-1)
