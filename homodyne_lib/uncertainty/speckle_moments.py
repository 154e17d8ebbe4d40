"""Noise of c2 from single speckles: what one pixel adds to the score of a fit, to its residuals, and to their stripes.

c2 is a mean over M pixels. Its noise is, to first order in 1/√M, the mean over them of e_ij of equation (U1) in
docs/uncertainty.md. Whatever is linear in the noise, such as the score of a fit, is then a mean over independent pixels, and
its covariance is that of one pixel over M. The cumulants of the intensity of a pixel, (U3), make every moment a polynomial in
the contrast C of products of matrices of the size of c2: (U4) to (U7).

Photon counting adds to δ a number that is independent in each frame, of variance I/counts. No frame enters e_ij twice, so
that the moments are of degree two in 1/counts. Nothing is simulated; ``test_calibration.py`` compares with simulated pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.likelihood.strips import strips

__all__ = ["CONTRASTS", "PixelNoise", "SpeckleMoments", "model_matrices", "speckle_moments"]

CONTRASTS = (1e-3, 1.0)
"""Contrasts that speckles can have. A fit may end at another; the noise is then taken at the nearest of these."""

# Size of the sample of pairs for the sum X of (U4), which is no product of matrices: at least so many pairs, and more in
# short records, where they cost little. Below 80 frames the sample holds all pairs.
_SAMPLED_PAIRS = 500
_PAIRS_TIMES_FRAMES = 300_000


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
    square : float
        Approximate trace of the squared covariance of A without photon noise.
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
    square: float
    hessian: np.ndarray
    among_stripes: np.ndarray
    n_frames: int


class SpeckleMoments(NamedTuple):
    """The moments of :class:`PixelNoise` as polynomials in the contrast C, for derivatives of u instead of C u.

    Keys are (power of 1/counts, power of C).
    """

    total: dict[tuple[int, int], float]
    score: dict[tuple[int, int], np.ndarray]
    stripes: dict[tuple[int, int], float]
    by_frame: dict[tuple[int, int], np.ndarray]  # E[s A_t], (m, n_t)
    square: float  # over C⁴
    stripes_of_slopes: np.ndarray  # B, (m, n_t)

    def at(self, contrast: float) -> PixelNoise:
        """Moments at a contrast in (0, 1]."""
        b = self.stripes_of_slopes
        # The derivatives of the model C u + offset are C ∂u, u and 1.
        scale = np.append(np.full(len(b) - 2, contrast), [1.0, 1.0])
        both = np.outer(scale, scale)

        def polynomial(terms):
            result = [np.zeros(np.shape(terms[2, 0])) for _ in range(3)]
            for (photons, power), term in terms.items():
                result[photons] = result[photons] + contrast**power * term
            return np.array(result)

        stripes = polynomial(self.stripes)
        leading = contrast**2 * self.stripes[0, 2]
        return PixelNoise(
            total=polynomial(self.total),
            score=polynomial(self.score) * both,
            stripes=stripes,
            cross=polynomial(self.by_frame) @ b.T * both,
            square=contrast**4 * self.square * (stripes[0] / leading) ** 2,
            hessian=self.score[2, 0] * both,
            among_stripes=b @ b.T * both,
            n_frames=b.shape[1],
        )


def model_matrices(params, experiment: Experiment, angle: int, convention: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute g1 and the derivatives of the model at all pairs of an angle, as symmetric matrices.

    Parameters
    ----------
    params : array_like, shape (p,)
        Physical parameters [units of the parameter table].
    experiment : Experiment
    angle : int
    convention : {"spec", "published"}

    Returns
    -------
    g1 : ndarray, shape (n_t, n_t)
        One on the diagonal.
    slopes : ndarray, shape (m, n_t, n_t)
        Derivatives of u = g1² with respect to the physical parameters, then u and 1; zero on the diagonal.
    """
    p, n_t = len(params), experiment.frames.size
    g1, slopes = np.eye(n_t), np.zeros((p + 2, n_t, n_t))
    for strip in strips(params, experiment, angle, convention):
        parts = np.concatenate([strip.slopes, strip.u[None], strip.later[None]])
        for matrix, part in ((g1, strip.g1), (slopes, parts)):
            matrix[..., strip.rows, strip.columns] += part
            matrix[..., strip.columns, strip.rows] += part.swapaxes(-1, -2)
    return g1, slopes


def _stripes(matrix):
    """Sum of row t and column t of a matrix without the diagonal, for each frame t; (n_t,)."""
    return matrix.sum(axis=0) + matrix.sum(axis=1) - 2.0 * np.diag(matrix)


def speckle_moments(g1, slopes) -> SpeckleMoments:
    """Take all moments of the noise of one angle.

    Parameters
    ----------
    g1 : ndarray, shape (n_t, n_t)
    slopes : ndarray, shape (m, n_t, n_t)
        Both as from :func:`model_matrices`.

    Returns
    -------
    SpeckleMoments
    """
    score, by_frame = _score_moments(slopes, g1)
    total, stripes, square = _residual_moments(g1, score)
    return SpeckleMoments(total, score, stripes, by_frame, square, slopes.sum(axis=2))


def _score_moments(slopes, g):
    """Moments of the score with itself (U4), and with the stripe of each frame (U5)."""
    m, n_t = len(slopes), len(g)
    u, flat = g * g, slopes.reshape(m, -1)
    u0 = u - np.eye(n_t)
    rows = u0.sum(axis=1)
    score = {key: np.zeros((m, m)) for key in ((0, 2), (0, 3), (1, 1), (1, 2), (2, 1))}
    by_frame = {key: np.zeros((m, n_t)) for key in score}
    v, c = np.einsum("aij,ij->ai", slopes, u), np.zeros((m, n_t))
    for a, slope in enumerate(slopes):
        ju, gg = slope @ u, (slope * g) @ g  # J u and G g of (U4)
        ggg = g @ gg
        c[a] = np.diag(ggg)
        matrices = 0.5 * (u @ ju), ggg * g, ju, 2.0 * gg * g, 0.5 * slope * u
        for key, matrix in zip(score, matrices, strict=True):
            score[key][a] = flat @ matrix.ravel()
            by_frame[key][a] = _stripes(matrix)

    def with_frames(vectors):
        """Products with the vector v of each frame's stripe."""
        return vectors @ u0 + rows * vectors

    crossing, crossing_by_frame = _crossing(slopes, g)
    vu, vc = v @ u, v @ c.T
    score[0, 3] += 0.5 * crossing - vc - vc.T + vu @ v.T
    c_of_frames = 2.0 * v @ (g * ((g - np.eye(n_t)) @ g)).T
    by_frame[0, 3] += 0.5 * crossing_by_frame - with_frames(c) - c_of_frames + with_frames(vu)
    score[1, 2] -= v @ v.T
    by_frame[1, 2] -= with_frames(v)
    return score | {(2, 0): 0.5 * flat @ flat.T}, by_frame | {(2, 0): slopes.sum(axis=2)}


def _residual_moments(g, score):
    """Moments of the residuals (U6) and of their stripes (U7), and the trace for the spread of the stripes."""
    n_t = len(g)
    u, g0 = g * g, g - np.eye(n_t)
    u0 = u - np.eye(n_t)
    rows, everything = u0.sum(axis=1), u.sum()
    total = {
        (0, 2): 0.5 * (n_t * (n_t - 1) + np.sum(u0**2)),
        (0, 3): np.sum(2.0 * u0 - 2.0 * u0**2 + u0**3),
        (1, 1): float(n_t * (n_t - 1)),
        (1, 2): np.sum(2.0 * u0 - u0**2),
        (2, 0): 0.5 * n_t * (n_t - 1),
        (2, 1): 0.5 * u0.sum(),
    }
    stripes = {
        (0, 2): np.sum(everything - 2.0 * rows - 1.0 + rows**2),
        (0, 3): np.sum(rows * (2.0 * np.sum(u0**2, axis=1) - rows))
        + np.sum(4.0 * (g0 - g0**3) * (g0 @ g))
        + np.sum(u0 * (u0 @ u)),
        # The last derivative is that of the offset, 1 for every pair.
        (1, 1): score[1, 1][-1, -1] + total[1, 1],
        (1, 2): score[1, 2][-1, -1] + total[1, 2],
        (2, 0): 2.0 * total[2, 0],
        (2, 1): 2.0 * total[2, 1],
    }
    return total, stripes, float(np.sum((everything * u + np.outer(rows + 1.0, rows + 1.0)) ** 2))


def _crossing(slopes, g):
    """The sum X of (U4), (m, m), and of (U5), (m, n_t).

    The sum over pairs i < j is taken on a systematic sample, drawn in proportion to |g_ij|: it vanishes where g_ij does. X is
    symmetric where all pairs are taken, and made so where they are not.
    """
    n_t = len(g)
    i, j = np.triu_indices(n_t, 1)
    chance = np.abs(g[i, j]) + 1e-6
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
