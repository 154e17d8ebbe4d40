"""Noise of c2 from single speckles: what one pixel adds to the score of a fit, to its residuals, and to their stripes.

c2 is a mean over M pixels. Its noise is, to first order in 1/√M, the mean over them of e_ij of equation (U1) in
docs/uncertainty.md. Whatever is linear in the noise, such as the score of a fit, is then a mean over independent pixels, and
its covariance is that of one pixel over M. The cumulants of the intensity of a pixel, (U3), make every moment a polynomial in
the variance V and the contrast C, of products of matrices of the size of c2: (U4) to (U7).

Photon counting adds to δ a number that is independent in each frame, of variance I/counts. No frame enters e_ij twice, so
that the moments are of degree two in 1/counts. Nothing is simulated; ``test_calibration.py`` compares with simulated pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import orth

from homodyne_lib.model.matrices import row_blocks, traces
from homodyne_lib.uncertainty.intensities import Intensities

__all__ = ["PixelNoise", "pixel_noise", "score_moments"]

# Size of the sample of pairs for the sum X of (U4), which is no product of matrices: at least so many pairs, and more in
# short records, where they cost little. Below 80 frames the sample holds all pairs.
_SAMPLED_PAIRS = 500
_PAIRS_TIMES_FRAMES = 300_000
_TINY = 1e-300


class PixelNoise(NamedTuple):
    """Second moments of what one pixel adds at one angle; the leading axis is the power of 1/counts: 0, 1, 2.

    J is the derivative of the model with respect to the physical parameters, contrast and offset (m numbers). The stripe of
    a frame is the sum over all pairs that hold it.

    Attributes
    ----------
    total : ndarray, shape (3,)
        Σ e² over the pairs.
    score : ndarray, shape (3, m, m)
        Covariance of s = Σ J e.
    stripes : ndarray, shape (3,)
        Σ_t A_t², A the stripes of e.
    cross : ndarray, shape (3, m, m)
        Σ_t E[s A_t] B_tᵀ, B the stripes of J.
    spread : ndarray, shape (3,)
        Tr Q, tr QK and tr (QK)², with K the covariance of A without photon noise, to leading order, and Q the projection that
        removes what contrast and offset of the angle take away: their own stripes.
    hessian : ndarray, shape (m, m)
        Σ J Jᵀ.
    among_stripes : ndarray, shape (m, m)
        Σ_t B_t B_tᵀ.
    n_frames : int
    """

    total: np.ndarray
    score: np.ndarray
    stripes: np.ndarray
    cross: np.ndarray
    spread: np.ndarray
    hessian: np.ndarray
    among_stripes: np.ndarray
    n_frames: int


def _stripes(matrices):
    """Sums of row t and column t of matrices without the diagonal, for each frame t; (m, n_t)."""
    return matrices.sum(axis=1) + matrices.sum(axis=2) - 2.0 * np.einsum("aii->ai", matrices)


def score_moments(intensities: Intensities, matrices) -> np.ndarray:
    """Covariances of the scores Σ W e of weight matrices W (U4).

    Parameters
    ----------
    intensities : Intensities
    matrices : ndarray, shape (m, n_t, n_t)
        Symmetric, with diagonals of zeros.

    Returns
    -------
    ndarray, shape (3, m, m)
        By power of 1/counts.
    """
    return _at(intensities, _moments(intensities, matrices, of_frames=False)[0])


def pixel_noise(intensities: Intensities, slopes) -> PixelNoise:
    """Take all moments of the noise of one angle.

    Parameters
    ----------
    intensities : Intensities
    slopes : ndarray, shape (m, n_t, n_t)
        Derivatives of the model by physical parameters, contrast and offset; diagonals of zeros.

    Returns
    -------
    PixelNoise
    """
    stripes_of_slopes = slopes.sum(axis=2)
    score, frames = _moments(intensities, slopes, of_frames=True)
    total, stripes, spread = _residual_moments(intensities, score)
    stripes = _at(intensities, stripes)
    return PixelNoise(
        total=_at(intensities, total),
        score=_at(intensities, score),
        stripes=stripes,
        cross=_at(intensities, frames) @ stripes_of_slopes.T,
        spread=spread * [1.0, stripes[0], stripes[0] ** 2],
        hessian=score[2, 0, 0],
        among_stripes=stripes_of_slopes @ stripes_of_slopes.T,
        n_frames=len(intensities.u),
    )


def _at(intensities, moments) -> np.ndarray:
    """Moments at a variance and contrast, by power of 1/counts, from those by powers of 1/counts, variance and contrast."""
    result = [np.zeros(np.shape(moments[2, 0, 0])) for _ in range(3)]
    for (photons, power, of_contrast), term in moments.items():
        result[photons] = result[photons] + intensities.variance**power * intensities.contrast**of_contrast * term
    return np.array(result)


def _moments(intensities, matrices, of_frames: bool) -> tuple[dict, dict]:
    """Moments (U4) of scores and, where they are asked for, (U5) of scores with the stripe of each frame.

    Symbols are those of the equations. Products of matrices take hundreds of MB in long records: one stack of them is held.
    """
    u, g = intensities.u, intensities.g
    v, flat = np.einsum("aij,ij->ai", matrices, u), matrices.reshape(len(matrices), -1)
    product = matrices @ u
    scores = {
        (0, 2, 0): 0.5 * traces(product, product),
        (0, 3, 0): v @ u @ v.T,
        (1, 1, 0): product.reshape(flat.shape) @ flat.T,
        (1, 2, 0): -v @ v.T,
        (2, 0, 0): 0.5 * (flat @ flat.T),
        (2, 1, 0): 0.5 * _weighted_sums(matrices, u, matrices),
    }
    frames = _frame_moments_of_u(intensities, matrices, product, v) if of_frames else {}
    for matrix, of_matrix in zip(matrices, product, strict=True):
        np.matmul(matrix * g, g, out=of_matrix)
    c = np.einsum("aij,ij->aj", product, g)
    vc, (crossing, crossing_of_frames) = v @ c.T, _crossing(matrices, g)
    scores |= {
        (0, 1, 2): -vc - vc.T,
        (0, 0, 3): traces(product, product) + 0.5 * crossing,
        (1, 0, 2): 2.0 * _weighted_sums(product, g, matrices),
    }
    if of_frames:
        frames |= _frame_moments_of_g(intensities, product, v, c, crossing_of_frames)
    return scores, frames


def _weighted_sums(a, weight, b) -> np.ndarray:
    """Sums over all entries of a, a weight and b, for each matrix of a stack a with each of a stack b."""
    parts = (
        (a[:, rows] * weight[rows]).reshape(len(a), -1) @ b[:, rows].reshape(len(b), -1).T
        for rows in row_blocks(len(weight))
    )
    return sum(parts)


def _with_frames(u, vectors):
    """Products of vectors, (m, n_t), with the vector v of each frame's stripe."""
    u0 = u - np.eye(len(u))
    return vectors @ u0 + u0.sum(axis=1) * vectors


def _frame_moments_of_u(intensities, matrices, product, v):
    """Moments (U5) that u alone makes; ``product`` is J u."""
    u = intensities.u
    # Stripes of u J u, which is symmetric.
    uju = 2.0 * (product.sum(axis=2) @ u - np.einsum("aij,ij->aj", product, u))
    return {
        (0, 2, 0): 0.5 * uju,
        (0, 3, 0): _with_frames(u, v @ u),
        (1, 1, 0): _stripes(product),
        (1, 2, 0): -_with_frames(u, v),
        (2, 0, 0): matrices.sum(axis=2),
        (2, 1, 0): v,
    }


def _frame_moments_of_g(intensities, product, v, c, crossing):
    """Moments (U5) of which g is a part; ``product`` is G g."""
    u, g = intensities.u, intensities.g
    # Stripes of (g G g)∘g, which is symmetric.
    ggg = 2.0 * (np.stack([np.einsum("ij,ij->i", g @ part, g) for part in product]) - c)
    c_of_frames = 2.0 * v @ (g * ((g - np.eye(len(g))) @ g)).T
    return {
        (0, 1, 2): -_with_frames(u, c) - c_of_frames,
        (0, 0, 3): ggg + 0.5 * crossing,
        # g is one on the diagonal.
        (1, 0, 2): 2.0 * (np.einsum("aij,ij->ai", product, g) + c - 2.0 * np.einsum("aii->ai", product)),
    }


def _residual_moments(intensities, score):
    """Moments of the residuals (U6) and of their stripes (U7), and the spread of the stripes over tr K."""
    u, g = intensities.u, intensities.g
    n_t, unit = len(u), np.eye(len(u))
    u0, g0 = u - unit, g - unit
    walks = g0**2
    rows, rows_of_walks, everything = u0.sum(axis=1), walks.sum(axis=1), u.sum()
    total = {
        (0, 2, 0): 0.5 * (n_t * (n_t - 1) + np.sum(u0**2)),
        (0, 3, 0): np.sum(u0**2 + u0**3),
        (0, 1, 2): -4.0 * np.sum(u0 * walks),
        (0, 0, 3): np.sum(2.0 * walks + walks**2),
        (1, 1, 0): float(n_t * (n_t - 1)),
        (1, 2, 0): -np.sum(u0**2),
        (1, 0, 2): np.sum(2.0 * walks),
        (2, 0, 0): 0.5 * n_t * (n_t - 1),
        (2, 1, 0): 0.5 * u0.sum(),
    }
    paths = g0 * (g0 @ g)
    stripes = {
        (0, 2, 0): np.sum(everything - 2.0 * rows - 1.0 + rows**2),
        (0, 3, 0): np.sum(rows * (rows + 2.0 * np.sum(u0**2, axis=1))) + np.sum(u0 * (u0 @ u)),
        (0, 1, 2): -4.0 * (rows @ rows_of_walks + np.sum(u0 * paths)),
        (0, 0, 3): 2.0 * rows_of_walks @ rows_of_walks + 4.0 * np.sum(paths),
        # The last derivative is that of the offset, 1 for every pair.
        **{key: score[key][-1, -1] + total[key] for key in ((1, 1, 0), (1, 2, 0), (1, 0, 2))},
        (2, 0, 0): 2.0 * total[2, 0, 0],
        (2, 1, 0): 2.0 * total[2, 1, 0],
    }
    taken = orth(np.stack([np.ones(n_t), rows], axis=1))
    # Q is the unit matrix less this. The other part of K is a multiple of (1 + r)(1 + r)ᵀ, of which nothing is left.
    left = u - taken @ (taken.T @ u)
    covariance = (left - (left @ taken) @ taken.T) * (everything / stripes[0, 2, 0])
    return total, stripes, np.array([n_t - taken.shape[1], np.trace(covariance), np.sum(covariance**2)])


def _crossing(slopes, g):
    """The sum X of (U4), (m, m), and of (U5), (m, n_t).

    The sum over pairs i < j is taken on a systematic sample, drawn in proportion to |g_ij| and to the size of J_ij: weights
    of a metric are large at few pairs, and a sample without these may give a covariance that is none. It goes along the
    lags, as these weights change their sign from one lag to the next, and hardly along the age. X is symmetric where all
    pairs are taken, and made so where they are not.
    """
    n_t = len(g)
    before, j = np.triu_indices(n_t, 1)  # one less than the lag, which rises; the later frame
    i = j - before - 1
    squares = (slope[i, j] ** 2 for slope in slopes)
    size = np.sqrt(sum(square / max(square.mean(), _TINY) for square in squares) / len(slopes))
    chance = np.abs(g[i, j]) * size + 1e-6
    n = max(_SAMPLED_PAIRS, _PAIRS_TIMES_FRAMES // n_t)
    sampled, weight = np.arange(i.size), np.ones(i.size)
    if n < i.size:
        cumulative = np.cumsum(chance)
        sampled = np.searchsorted(cumulative, cumulative[-1] * (np.arange(n) + 0.5) / n)
        weight = cumulative[-1] / (n * chance[sampled])
    v = g[:, i[sampled]] * g[:, j[sampled]]
    j_of_pairs = 2.0 * weight * slopes[:, i[sampled], j[sampled]]
    jv = np.stack([np.einsum("tp,tp->p", v, slope @ v) for slope in slopes])
    sums = j_of_pairs @ jv.T
    return 0.5 * (sums + sums.T), 2.0 * (j_of_pairs @ (v * (v.sum(axis=0) - v)).T)
