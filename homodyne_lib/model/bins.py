"""The bins of a measurement: which file of several repeats, which wavevector, which angle. Plain arrays; no physics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homodyne_lib.model.plurals import plural

__all__ = ["Bins", "OfBins", "numbered"]


def numbered(*keys) -> np.ndarray:
    """Number each bin by its keys, shape (n_bins,): equal keys have one number, from 0 in the order of the bins."""
    _, first, number = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number.ravel()]


@dataclass(frozen=True, eq=False)
class Bins:
    """Repeat, wavevector and angle of each bin, in this order: by repeat, then by q, then by angle.

    The bins of one repeat and one q are a *group*. Groups have contrasts and offsets of their own; all bins have the physical
    parameters in common.

    Attributes
    ----------
    repeat : ndarray of int, shape (n_bins,)
        Number of the file, from 0.
    q : ndarray, shape (n_bins,)
        [1/Å]
    phi : ndarray, shape (n_bins,)
        [deg]
    """

    repeat: np.ndarray
    q: np.ndarray
    phi: np.ndarray

    @classmethod
    def of(cls, phi, q, repeat=0) -> Bins:
        """Bins of angles; one q, and one repeat, serves for all of them."""
        phi = np.atleast_1d(np.asarray(phi, dtype=float))
        whole = np.broadcast_to(np.asarray(repeat, dtype=np.int64), phi.shape)
        return cls(whole.copy(), np.broadcast_to(np.asarray(q, dtype=float), phi.shape).copy(), phi)

    def __len__(self) -> int:
        return len(self.phi)

    def __getitem__(self, chosen) -> Bins:
        return Bins(self.repeat[chosen], self.q[chosen], self.phi[chosen])

    @property
    def group(self) -> np.ndarray:
        """Number of the group of each bin, from 0, shape (n_bins,)."""
        return numbered(self.repeat, self.q)

    @property
    def groups(self) -> list[np.ndarray]:
        """Numbers of the bins of each group."""
        return np.split(np.arange(len(self)), np.flatnonzero(np.diff(self.group)) + 1)

    @property
    def ring(self) -> np.ndarray:
        """Place of the q of each bin among those of its repeat, from 0, shape (n_bins,); the same ring in all repeats."""
        first = {int(repeat): int(group) for repeat, group in zip(self.repeat[::-1], self.group[::-1], strict=True)}
        return self.group - np.array([first[int(repeat)] for repeat in self.repeat])

    @property
    def n_repeats(self) -> int:
        """Number of files."""
        return int(self.repeat.max()) + 1

    @property
    def rings(self) -> np.ndarray:
        """Mean q of each ring, shape (n_rings,) [1/Å]; that of equal values is exactly this value."""
        own = [self.q[self.ring == k] for k in range(int(self.ring.max()) + 1)]
        return np.array([q[0] + np.mean(q - q[0]) for q in own])

    @property
    def reference_q(self) -> float:
        """Geometric mean of the q of the rings, about which D may vary with q [1/Å]."""
        rings = self.rings
        # The product of many q themselves is no number any more.
        return float(rings[0] * np.prod((rings / rings[0]) ** (1.0 / rings.size)))

    def named(self, k: int) -> str:
        """What a bin is called in a sentence: its angle; with its q and its file where there are several."""
        return ", ".join([*self._group_of(k), f"phi = {self.phi[k]:.4g} deg"])

    def group_named(self, group: int) -> str:
        """What a group is called: its q and its file, where there are several; empty for the only one."""
        return ", ".join(self._group_of(int(self.groups[group][0])))

    def _group_of(self, k: int) -> Iterator[str]:
        if self.n_repeats > 1:
            yield f"file {self.repeat[k] + 1}"
        if self.rings.size > 1:
            yield f"q = {self.q[k]:.4g} 1/Å"

    @property
    def in_words(self) -> str:
        """How many there are: angles; q and files where there are several."""
        files = f"{self.n_repeats} files × " if self.n_repeats > 1 else ""
        rings = f"{self.rings.size} q × " if self.rings.size > 1 else ""
        return files + rings + self.angles_in_words

    @property
    def angles_in_words(self) -> str:
        """How many angles a group has."""
        sizes = {group.size for group in self.groups}
        return plural(sizes.pop(), "angle") if len(sizes) == 1 else f"{self.sizes_in_words} angles"

    @property
    def sizes_in_words(self) -> str:
        """Size of a group, or the least and the largest."""
        sizes = [group.size for group in self.groups]
        return str(sizes[0]) if len({*sizes}) == 1 else f"{min(sizes)} to {max(sizes)}"

    def refusal(self) -> str | None:
        """A sentence where repeat, q and angle are not as they must be; None where they are."""
        for name in ("q", "phi"):
            kind = getattr(self, name).dtype
            if kind.kind not in "iuf":
                return f"{name} must be numbers; it is of the type {kind}."
        bad = ~(np.isfinite(self.q) & (self.q > 0))
        if bad.any():
            return f"q must be positive and finite; it is {self.q[bad][0]} 1/Å."
        files = np.unique(self.repeat)
        if self.repeat.dtype.kind not in "iu" or not np.array_equal(files, np.arange(files.size)):
            return f"repeat must number the files from 0 without a gap; it is {_some(self.repeat)}."
        same = np.diff(self.group) == 0
        if not (np.all((self.phi > -180) & (self.phi <= 180)) and np.all(np.diff(self.phi)[same] > 0)):
            return f"phi must ascend within (-180, 180] deg; it is {self.phi}."
        in_order = (np.diff(self.repeat) > 0) | ((np.diff(self.repeat) == 0) & (np.diff(self.q) >= 0))
        if not np.all(in_order):
            return f"bins must be in the order of their repeats, and of q in each; q is {_some(self.q)} 1/Å."
        counts = [np.unique(self.group[self.repeat == k]).size for k in range(self.n_repeats)]
        if len({*counts}) > 1:
            return f"every repeat must have the same number of q; found {', '.join(map(str, counts))}."
        return None


class OfBins:
    """What holds a repeat, a q and an angle for each bin, in the fields ``repeat``, ``q`` and ``phi``."""

    @property
    def bins(self) -> Bins:
        """Repeat, q and angle of each bin."""
        return Bins(self.repeat, self.q, self.phi)


def _some(values) -> str:
    return np.array2string(np.asarray(values), threshold=10)
