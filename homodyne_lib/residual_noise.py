"""Which noise the residuals of a fit show, and what it makes of the covariance of the fit.

Of each angle two numbers are taken: the sum of squares of the residuals, and that of their stripes, the sums over all pairs
of a frame. What a kind of noise makes of both is known up to its strength, less what the fit took away. The squares give the
strength, and the stripes tell kinds apart: they are small where entries of c2 fluctuate independently, and large where
frames and speckles do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtr

from homodyne_lib.speckle_noise import PixelNoise

__all__ = ["AngleNoise", "NoiseKind", "ResidualNoise"]

_LOG_SHOT = np.log([1e-4, 1e4])  # of 1/counts, between which it is looked for
_LEVEL = 1e-4  # chance that a kind of noise is wrongly said not to explain the stripes


class AngleNoise(NamedTuple):
    """Noise and residuals of an angle, weighted, with derivatives for all parameters of the fit."""

    noise: PixelNoise
    chi2: float
    stripes: float


class NoiseKind(NamedTuple):
    """A kind of noise, as strong at each angle as the residuals there.

    Attributes
    ----------
    covariance : ndarray
        Of the fit.
    score : ndarray
        Covariance of the score.
    units : ndarray, shape (n_phi,)
        Strength at each angle: variance of a weighted entry, or 1/M.
    stripes : ndarray, shape (n_phi,)
        Expected sums of squares.
    freedom : ndarray, shape (n_phi,)
        How many independent numbers make up each of them.
    """

    covariance: np.ndarray
    score: np.ndarray
    units: np.ndarray
    stripes: np.ndarray
    freedom: np.ndarray


class ResidualNoise:
    """What residuals are expected under a kind of noise, and which noise those of the data show.

    Parameters
    ----------
    angles : list of AngleNoise
    bread : ndarray
        H⁻¹.
    """

    def __init__(self, angles, bread):
        self.bread = bread
        self.noises = [angle.noise for angle in angles]
        self.chi2 = np.array([angle.chi2 for angle in angles])
        self.stripes = np.array([angle.stripes for angle in angles])

    def _of(self, units, freedom) -> NoiseKind:
        """From (total, score, stripes, cross) of noise of strength one at each angle.

        Residuals are r = e - J H⁻¹ s, with s from all angles.
        """
        bread = self.bread
        moved = [bread @ score @ bread for _, score, _, _ in units]
        squares = np.array([[np.sum(noise.hessian * m) for m in moved] for noise in self.noises])
        stripes = np.array([[np.sum(noise.among_stripes * m) for m in moved] for noise in self.noises])
        for k, (total, score, stripe, cross) in enumerate(units):
            squares[k, k] += total - 2.0 * np.sum(bread * score)
            stripes[k, k] += stripe - 2.0 * np.sum(bread * cross)
        strength = np.linalg.solve(squares, self.chi2)
        score = sum(x * unit[1] for x, unit in zip(strength, units, strict=True))
        return NoiseKind(bread @ score @ bread, score, strength, stripes @ strength, np.array(freedom))

    def white(self) -> NoiseKind:
        """Independent noise."""
        units = []
        for noise in self.noises:
            pairs = 0.5 * noise.n_frames * (noise.n_frames - 1)
            units.append((pairs, noise.hessian, 2.0 * pairs, noise.among_stripes))
        return self._of(units, [float(noise.n_frames) for noise in self.noises])

    def speckle(self, shot) -> NoiseKind:
        """Speckles and photons, with 1/counts of each angle."""
        units, freedom = [], []
        for noise, x in zip(self.noises, shot, strict=True):
            powers = np.array([1.0, x, x * x])
            moments = (noise.total, noise.score, noise.stripes, noise.cross)
            units.append([np.tensordot(powers, moment, 1) for moment in moments])
            photons = noise.stripes[1:] @ powers[1:] / noise.n_frames
            square = noise.square + 2.0 * noise.stripes[0] * photons + noise.n_frames * photons**2
            freedom.append((noise.stripes @ powers) ** 2 / square)
        return self._of(units, freedom)

    def excess(self, kind: NoiseKind) -> float:
        """Mean square of the stripes over what a kind of noise gives; angles weigh as their independent numbers."""
        return float(np.sum(kind.freedom * self.stripes / kind.stripes) / np.sum(kind.freedom))

    def explains(self, kind: NoiseKind) -> bool:
        """Whether a kind of noise gives stripes like those of the data."""
        freedom = np.sum(kind.freedom)
        chance = chdtr(freedom, freedom * self.excess(kind))
        return bool(min(chance, 1.0 - chance) > 0.5 * _LEVEL)

    def choose(self, shot, *, replaced: bool = False) -> tuple[NoiseKind, np.ndarray, str]:
        """Find the noise that explains the stripes.

        Speckles with the photons that the diagonal tells come first, independent noise second; where neither does, the
        photons are those with which speckles explain them.

        Parameters
        ----------
        shot : ndarray, shape (n_phi,)
            1/counts, as the diagonal tells.
        replaced : bool
            Whether the diagonal tells nothing.

        Returns
        -------
        kind : NoiseKind
        shot : ndarray, shape (n_phi,)
            1/counts; infinite where noise is independent.
        note : str
            A sentence.
        """
        kind, white = self.speckle(shot), self.white()
        alone = np.full_like(shot, np.inf)
        if self.explains(kind) and not replaced:
            return kind, shot, "The residuals scatter as speckles and photons make them."
        if self.explains(white):
            return white, alone, "The residuals scatter independently of each other."

        def surplus(log_shot):
            return np.log(self.excess(self.speckle(np.full_like(shot, np.exp(log_shot)))))

        if surplus(_LOG_SHOT[1]) <= 0.0:
            return white, alone, "The residuals of a frame scatter less alike than those of independent noise."
        if surplus(_LOG_SHOT[0]) >= 0.0:
            kind = self.speckle(0.0 * shot)
            if self.explains(kind):
                return kind, 0.0 * shot, "The residuals scatter as speckles make them without any shot noise."
            return (
                kind,
                0.0 * shot,
                f"The residuals of a frame scatter {self.excess(kind):.2g} times as much as speckles make them without any "
                "shot noise: something moves whole frames, or the model misses something. The errors may be too small.",
            )
        found = np.full_like(shot, np.exp(brentq(surplus, *_LOG_SHOT, xtol=1e-3)))
        told = (
            f"{1.0 / shot.mean():.2g} as the diagonal tells" if np.any(shot > 0.0) else "so many that they do not show"
        )
        told = "the diagonal was replaced and tells none" if replaced else f"not of {told}"
        return (
            self.speckle(found),
            found,
            f"The residuals scatter as speckles of {1.0 / found[0]:.2g} photons a pixel and frame make them; {told}.",
        )
