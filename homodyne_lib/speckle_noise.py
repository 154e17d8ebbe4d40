"""Noise of c2 from single speckles: what one pixel adds to the score of a fit, to its residuals, and to their stripes.

c2 is a mean over M pixels. To first order in 1/√M its noise is the mean over them of

    e_ij = δ_i δ_j - C u_ij (1 + δ_i + δ_j),    δ = I/<I> - 1,  u = g²,  g = g1,

where the bracket is the noise of the two mean intensities that c2 is divided by. Whatever is linear in the noise, such as
the score of a fit, is then a mean over independent pixels, and its covariance is that of one pixel over M.

The intensity of a pixel is a sum of 1/C squared Gaussian fields of covariance g. Its cumulants are sums over closed walks,
which makes every moment below a polynomial in C of products of matrices of the size of c2:

    κ(i,j) = C u_ij,   κ(i,j,k) = 2C² g_ij g_jk g_ki,
    κ(i,j,k,l) = 2C³ (g_ij g_jk g_kl g_li + g_ij g_jl g_lk g_ki + g_ik g_kj g_jl g_li).

Photon counting adds to δ a number, independent in each frame, of variance I/counts. No frame enters e_ij twice, so that the
moments are of degree two in 1/counts. Nothing is simulated; ``tests/test_calibration.py`` compares with simulated pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.bands import Block
from homodyne_lib.pixels import PixelAxis

__all__ = ["PixelNoise", "SpeckleMoments", "speckle_moments", "strip_model", "strips"]

_STRIP_ROWS = 64
_N_SCRATCH = 8  # matrices that the pixels of a block need
# Pairs of frames on which the one sum over four frames is taken that no product of matrices gives: at least so many, and
# more in short records, where they cost little; all below 80 frames.
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
        Trace of the squared covariance of A without photon noise, about.
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
        # The derivatives of C u + offset are C ∂u, u and 1.
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


def strips(angle: int, n_frames: int):
    """Cut the triangle of one angle into strips of rows."""
    for top in range(0, n_frames - 1, _STRIP_ROWS):
        rows = slice(top, min(top + _STRIP_ROWS, n_frames - 1))
        above = np.arange(top + 1, n_frames) > np.arange(rows.start, rows.stop)[:, None]
        yield Block(slice(angle, angle + 1), rows, slice(top + 1, n_frames), above)


def strip_model(axis: PixelAxis, block: Block):
    """Values and derivatives of u on a strip; zero where a pair does not count.

    Returns
    -------
    u : ndarray, shape (n_rows, n_columns)
    slopes : list of ndarray, shape (n, n_rows, n_columns)
        ∂u/∂ the physical parameters.
    """
    frames = np.arange(axis.earlier.shape[-2])
    u, q, xq = axis.pixels(block, frames[block.rows], np.empty((_N_SCRATCH, 1, *block.counts.shape)))
    slopes = []
    for weight, (earlier, later) in zip((u, q), axis.tangents(block, frames), strict=False):
        # ∂u/∂θ = (v_j - v_i) times u, or ∂u/∂x, with v the derivative on the time axis.
        slopes.append(weight * (later[0][:, None] - earlier[0][..., None]))
    if q is not None:
        slopes.append(axis.log_factor[block.angles, None, None] * xq)
    return u[0], slopes


def _slopes(axis, angle, n_t) -> np.ndarray:
    """Derivatives of u, then u and 1, as symmetric matrices with zero diagonal: (m, n_t, n_t)."""
    slopes = None
    for block in strips(angle, n_t):
        u, parts = strip_model(axis, block)
        here = np.concatenate([*parts, u[None], block.counts[None]])
        slopes = np.zeros((len(here), n_t, n_t)) if slopes is None else slopes
        slopes[:, block.rows, block.columns] += here
        slopes[:, block.columns, block.rows] += here.mT
    return slopes


def _stripes(matrix):
    """Inner product of a matrix with the one that holds ones in row and column t, but not on the diagonal; (n_t,)."""
    return matrix.sum(axis=0) + matrix.sum(axis=1) - 2.0 * np.diag(matrix)


def speckle_moments(axis: PixelAxis, angle: int, g1) -> SpeckleMoments:
    """Take all moments of the noise of one angle.

    Parameters
    ----------
    axis : PixelAxis
        The model at the fit.
    angle : int
    g1 : ndarray, shape (n_t, n_t)
        Of this angle.

    Returns
    -------
    SpeckleMoments
    """
    n_t = len(g1)
    g = np.array(g1)
    np.fill_diagonal(g, 1.0)
    u, g0 = g * g, g - np.eye(n_t)
    u0 = u - np.eye(n_t)
    slopes = _slopes(axis, angle, n_t)
    m, rows = len(slopes), u0.sum(axis=1)
    flat = slopes.reshape(m, -1)
    b, with_u = slopes.sum(axis=2), (slopes * u).sum(axis=2)
    walk = g0 @ g
    score = {key: np.zeros((m, m)) for key in ((0, 2), (0, 3), (1, 1), (1, 2))}
    by_frame = {key: np.zeros((m, n_t)) for key in score}
    corners = np.zeros((m, n_t))
    for a, slope in enumerate(slopes):
        one = slope @ u
        two = u @ one
        bent = (slope * g) @ g
        closed = g @ bent
        corners[a] = np.diag(closed)
        for key, matrix in (((0, 2), 0.5 * two), ((0, 3), closed * g), ((1, 1), one), ((1, 2), 2.0 * bent * g)):
            score[key][a] = flat @ matrix.ravel()
            by_frame[key][a] = _stripes(matrix)

    def of_frames(vectors):
        # Σ_k ℓ_k over the frames of the pairs of t, weighted by u.
        return vectors @ u0 + rows * vectors

    crossing, crossing_by_frame = _crossing(slopes, g)
    bent_back = with_u @ u
    edge = with_u @ corners.T
    score[0, 3] += 0.5 * crossing - edge - edge.T + bent_back @ with_u.T
    by_frame[0, 3] += 0.5 * crossing_by_frame - of_frames(corners) - 2.0 * with_u @ (g * walk).T + of_frames(bent_back)
    score[1, 2] -= with_u @ with_u.T
    by_frame[1, 2] -= of_frames(with_u)
    # Of two powers of 1/counts, Σ J Jᵀ (1 + C u) over the pairs.
    score |= {(2, 0): 0.5 * flat @ flat.T, (2, 1): 0.5 * (slopes * u).reshape(m, -1) @ flat.T}
    by_frame |= {(2, 0): b, (2, 1): with_u}
    total = {
        (0, 2): 0.5 * (n_t * (n_t - 1) + np.sum(u0**2)),
        (0, 3): np.sum(2.0 * u0 - 2.0 * u0**2 + u0**3),
        (1, 1): float(n_t * (n_t - 1)),
        (1, 2): np.sum(2.0 * u0 - u0**2),
        (2, 0): 0.5 * n_t * (n_t - 1),
        (2, 1): 0.5 * u0.sum(),
    }
    everything = u.sum()
    stripes = {
        (0, 2): np.sum(everything - 2.0 * rows - 1.0 + rows**2),
        (0, 3): np.sum(rows * (2.0 * np.sum(u0**2, axis=1) - rows))
        + np.sum(4.0 * (g0 - g0**3) * walk)
        + np.sum(u0 * (u0 @ u)),
        (1, 1): score[1, 1][-1, -1] + total[1, 1],
        (1, 2): score[1, 2][-1, -1] + total[1, 2],
        (2, 0): 2.0 * total[2, 0],
        (2, 1): 2.0 * total[2, 1],
    }
    square = np.sum((everything * u + np.outer(rows + 1.0, rows + 1.0)) ** 2)
    return SpeckleMoments(total, score, stripes, by_frame, float(square), b)


def _crossing(slopes, g):
    """Σ J_ij J'_kl g_ik g_kj g_jl g_li, for J' another derivative, (m, m), and for the pairs of a frame, (m, n_t).

    The sum over pairs i < j is taken on a systematic sample, drawn in proportion to |g_ij|: far apart it vanishes. The first
    of the two is symmetric where all pairs are taken, and made so where they are not.
    """
    n_t = len(g)
    i, j = np.triu_indices(n_t, 1)
    chance = np.abs(g[i, j]) + 1e-6
    n = max(_SAMPLED_PAIRS, _PAIRS_TIMES_FRAMES // n_t)
    taken, weight = np.arange(i.size), np.ones(i.size)
    if n < i.size:
        cumulative = np.cumsum(chance)
        taken = np.searchsorted(cumulative, cumulative[-1] * (np.arange(n) + 0.5) / n)
        weight = cumulative[-1] / (n * chance[taken])
    v = g[:, i[taken]] * g[:, j[taken]]
    here = 2.0 * weight * slopes[:, i[taken], j[taken]]
    along = np.stack([np.einsum("tp,tp->p", v, slope @ v) for slope in slopes])
    sums = here @ along.T
    return 0.5 * (sums + sums.T), 2.0 * (here @ (v * (v.sum(axis=0) - v)).T)
