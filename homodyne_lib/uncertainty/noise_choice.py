"""Which noise the residuals of a fit show, and the covariance of the fit under it.

Two numbers of each angle are used: the sum of squares of the residuals, and that of their stripes. A stripe is the sum over
all pairs of a frame. Each kind of noise predicts both numbers up to its strength, less what the fit took away. The sum of
squares gives the strength. The stripes tell the kinds apart: they are small where entries of c2 fluctuate independently, and
large where frames and speckles do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtr

from homodyne_lib.uncertainty.noise_kinds import INDEPENDENT, SPECKLE, NoiseKind
from homodyne_lib.uncertainty.speckle_moments import PixelNoise

__all__ = ["NoiseChoice", "ScaledNoise"]

_SHOT = (1e-4, 1e4)  # interval in which 1/counts is searched
_LOG_SHOT = np.log(_SHOT)
_NO_SHOT = 2.0 * _SHOT[0]  # 1/counts at its lower end
# Length of such an interval at the end of a search group by group, and half of it where a second one begins.
_CLOSE, _AGAIN = 0.02, 1.0
# Chances that the kind of noise that made the stripes is rejected, and that its counts are. Of right counts little is lost
# where those of the stripes stand in their place; wrong ones make errors too small.
_LEVEL, _LIKELY = 1e-4, 0.01


def _too_alike(whose: str, excess: float) -> str:
    return (
        f"{whose} of a frame scatter {excess:.2g} times as much as speckles make them without any shot noise: "
        "something moves whole frames, or the model misses something. The errors may be too small."
    )


class ScaledNoise(NamedTuple):
    """Noise of a kind, as strong at each angle as the residuals there.

    Attributes
    ----------
    kind : NoiseKind
    covariance : ndarray
        Of the fit.
    score : ndarray
        Covariance of the score.
    units : ndarray, shape (n_phi,)
        Strength at each angle: variance of a weighted entry, or 1/M.
    stripes : ndarray, shape (n_phi,)
        Expected sums of squares.
    freedom : ndarray, shape (n_phi,)
        How many independent numbers make up each of them, at least 1, without those that contrast and offset take.
    """

    kind: NoiseKind
    covariance: np.ndarray
    score: np.ndarray
    units: np.ndarray
    stripes: np.ndarray
    freedom: np.ndarray


class NoiseChoice(NamedTuple):
    """Residuals that each kind of noise predicts, and the kind that agrees with those of a fit.

    Attributes
    ----------
    noises : sequence of PixelNoise, length n_phi
        Weighted, with derivatives for all parameters of the fit.
    chi2, stripes : ndarray, shape (n_phi,)
        Sum of squares of the weighted residuals, and of their stripes.
    bread : ndarray
        H⁻¹, as in (U2) of docs/uncertainty.md.
    groups : sequence of ndarray of int
        Numbers of the angles that have counts in common: those of one q and one file.
    places : ndarray of int, shape (n_bins, n_local), or None
        Parameters that act on each bin, where most act on few bins; all others have zeros in its matrices. The number of all
        parameters stands for none.
    """

    noises: Sequence[PixelNoise]
    chi2: np.ndarray
    stripes: np.ndarray
    bread: np.ndarray
    groups: Sequence[np.ndarray]
    places: np.ndarray | None = None

    def _scaled(self, kind, units, freedom) -> ScaledNoise:
        """Noise as strong as the residuals, from (total, score, stripes, cross) of noise of strength one at each angle (U8).

        Residuals are r = e - J H⁻¹ s, where s is the score of all angles.
        """
        bread = self.bread
        squares, stripes = self._taken([score for _, score, _, _ in units])
        for k, (total, score, stripe, cross) in enumerate(units):
            squares[k, k] += total - 2.0 * np.sum(bread * score)
            stripes[k, k] += stripe - 2.0 * np.sum(bread * cross)
        strength = np.linalg.solve(squares, self.chi2)
        expected = stripes @ strength
        if min(strength.min(), expected.min()) <= 0.0:
            # Of slow noise without shot noise the fit takes nearly all, and rounding is left: as if it had taken nothing.
            strength = self.chi2 / [total for total, *_ in units]
            expected = strength * [stripe for *_, stripe, _ in units]
        score = sum(x * unit[1] for x, unit in zip(strength, units, strict=True))
        return ScaledNoise(kind, bread @ score @ bread, score, strength, expected, np.array(freedom))

    def _taken(self, scores) -> tuple[np.ndarray, np.ndarray]:
        """What noise of each bin, of score covariance ``scores``, moves through the fit into squares and stripes of all."""
        bread, places = self.bread, self.places
        hessians, stripes = ([getattr(noise, name) for noise in self.noises] for name in ("hessian", "among_stripes"))
        if places is None:
            covariances = [bread @ score @ bread for score in scores]
            return tuple(np.array([[np.sum(m * c) for c in covariances] for m in part]) for part in (hessians, stripes))
        blocks = places[:, :, None], places[:, None, :]
        local = [
            np.array([np.pad(m, (0, 1))[np.ix_(at, at)] for m, at in zip(part, places, strict=True)])
            for part in (hessians, stripes)
        ]
        moved, bread = [], np.pad(bread, (0, 1))
        for score, at in zip(scores, places, strict=True):
            covariance = bread[:, at] @ np.pad(score, (0, 1))[np.ix_(at, at)] @ bread[at]
            moved.append([np.einsum("kab,kab->k", part, covariance[blocks]) for part in local])
        return tuple(np.array(part).T for part in zip(*moved, strict=True))

    def independent(self) -> ScaledNoise:
        """Noise that is independent in every entry of c2."""
        units = []
        for noise in self.noises:
            pairs = 0.5 * noise.n_frames * (noise.n_frames - 1)
            units.append((pairs, noise.hessian, 2.0 * pairs, noise.among_stripes))
        return self._scaled(INDEPENDENT, units, [noise.spread[0] for noise in self.noises])

    def speckle(self, shot) -> ScaledNoise:
        """Noise of speckles and photons, for 1/counts of each angle, shape (n_phi,)."""
        units, freedom = [], []
        for noise, x in zip(self.noises, shot, strict=True):
            powers = np.array([1.0, x, x * x])
            moments = (noise.total, noise.score, noise.stripes, noise.cross)
            units.append([np.tensordot(powers, moment, 1) for moment in moments])
            photons = noise.stripes[1:] @ powers[1:] / noise.n_frames
            frames, trace, square = noise.spread
            square += 2.0 * trace * photons + frames * photons**2
            # Where nothing moves and there is no shot noise, all is zero.
            freedom.append(max((trace + frames * photons) ** 2 / square, 1.0) if square > 0.0 else 1.0)
        return self._scaled(SPECKLE, units, freedom)

    def excess(self, noise: ScaledNoise, group=slice(None)) -> float:
        """Mean square of the stripes over what such noise predicts; the weight of an angle is its ``freedom``."""
        freedom = noise.freedom[group]
        return float(np.sum(freedom * self.stripes[group] / noise.stripes[group]) / np.sum(freedom))

    def chances(self, noise: ScaledNoise) -> np.ndarray:
        """Chance, for each group, that in any of them such noise makes stripes as unlikely as these (two-sided χ² tests)."""
        freedom = (float(np.sum(noise.freedom[group])) for group in self.groups)
        below = np.array([chdtr(n, n * self.excess(noise, g)) for n, g in zip(freedom, self.groups, strict=True)])
        return 2.0 * len(below) * np.minimum(below, 1.0 - below)

    def chance(self, noise: ScaledNoise) -> float:
        """The least of the chances of the groups."""
        return float(self.chances(noise).min())

    def choose(self, shot, *, replaced: bool = False, merged: int = 1) -> tuple[ScaledNoise, np.ndarray, str]:
        """Find the noise that explains the stripes.

        Speckles with the counts of the diagonal are tried first, independent noise second. Where neither explains the
        stripes, the counts are those with which speckles do. Groups whose counts explain theirs keep them.

        Parameters
        ----------
        shot : ndarray, shape (n_phi,)
            1/counts from the diagonal.
        replaced : bool
            Whether the diagonal was replaced or is empty, so that it does not give the counts.
        merged : int
            Frames that are one here; the sentence speaks of the photons of each.

        Returns
        -------
        noise : ScaledNoise
        shot : ndarray, shape (n_phi,)
            1/counts; infinite where noise is independent.
        note : str
            A sentence.
        """
        speckle, independent = self.speckle(shot), self.independent()
        infinite = np.full_like(shot, np.inf)
        of_each = np.zeros(len(self.groups)) if replaced else self.chances(speckle)
        of_diagonal = float(of_each.min())
        if of_diagonal > _LIKELY:
            return speckle, shot, "The residuals scatter as speckles and photons make them."
        if self.chance(independent) > max(_LEVEL, of_diagonal):
            return independent, infinite, "The residuals scatter independently of each other."

        def surplus(log_shot):
            return np.log(self.excess(self.speckle(np.full_like(shot, np.exp(log_shot)))))

        sought = of_each <= _LIKELY
        if sought.all() and surplus(_LOG_SHOT[1]) <= 0.0:
            return independent, infinite, "The residuals of a frame scatter less alike than those of independent noise."
        if sought.all() and surplus(_LOG_SHOT[0]) >= 0.0:
            speckle, none = self.speckle(0.0 * shot), 0.0 * shot
            if self.chance(speckle) > _LEVEL:
                return speckle, none, "The residuals scatter as speckles make them without any shot noise."
            return speckle, none, _too_alike("The residuals", self.excess(speckle))
        if len(self.groups) > 1:
            fitted = self._of_groups(shot, sought)
        else:
            fitted = np.full_like(shot, np.exp(brentq(surplus, *_LOG_SHOT, xtol=1e-3)))
        speckle = self.speckle(fitted)
        chances = self.chances(speckle)
        worst = self.groups[int(chances.argmin())]
        if fitted[worst].min() < _NO_SHOT and chances.min() <= _LEVEL:
            return speckle, fitted, _too_alike("Of some q or files the residuals", self.excess(speckle, worst))
        if replaced:
            reason = "the diagonal was replaced or is empty, and shows no counts"
        elif np.any(shot > 0.0):
            reason = f"the diagonal shows {1.0 / (merged * shot.mean()):.2g}"
        else:
            reason = "the diagonal shows no shot noise"
        low, high = (f"{counts:.2g}" for counts in 1.0 / (merged * np.array([fitted.max(), fitted.min()])))
        photons = low if low == high else f"{low} to {high}"
        return (
            speckle,
            fitted,
            f"The residuals scatter as speckles of {photons} photons a pixel and frame make them; {reason}.",
        )

    def _of_groups(self, shot, sought) -> np.ndarray:
        """1/counts with which speckles explain the stripes of those of several groups that are sought.

        All intervals are halved at a time. A fit takes something of each group from all others, so that this is done once
        more about what was found.
        """
        shot, groups = shot.copy(), [group for group, is_sought in zip(self.groups, sought, strict=True) if is_sought]
        ends = np.repeat(_LOG_SHOT[:, None], len(groups), axis=1)
        for _ in range(2):
            while np.ptp(ends, axis=0).max() > _CLOSE:
                middle = ends.mean(axis=0)
                for group, log_shot in zip(groups, middle, strict=True):
                    shot[group] = np.exp(log_shot)
                noise = self.speckle(shot)
                above = np.array([self.excess(noise, group) > 1.0 for group in groups])
                ends = np.where([~above, above], middle, ends)
            ends = np.clip(ends.mean(axis=0) + np.array([[-_AGAIN], [_AGAIN]]), *_LOG_SHOT)
        return shot
