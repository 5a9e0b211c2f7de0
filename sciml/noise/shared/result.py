"""How many time courses are shared, at least, and between what."""

from dataclasses import dataclass
from typing import Any

from sciml._typing import AnyArray, FloatArray
from sciml.result import card, shown
from sciml.wording import count, p_number

__all__ = ["SharedTimeCourses"]


@dataclass(frozen=True, repr=False)
class SharedTimeCourses:
    """A lower bound on the number of time courses that two sets have in common, whatever the noise of each.

    Attributes
    ----------
    n_shared
        Time courses that the data show at level `alpha`; there may be more.
    correlations
        Of each one found and of the next, (n_shared + 1,) or fewer: as `statistic` says.
    p_values
        Of these: the probability that sets with nothing in common have so large a one; none is below its predecessor.
    loadings
        How the channels of each set take part, (N, n_shared), norm one; the second is None where both are one.
    sets, statistic
        What was compared, and by which number, in words.
    alpha
        Level of each test.
    """

    n_shared: int
    correlations: FloatArray
    p_values: FloatArray
    loadings: tuple[AnyArray, AnyArray | None]
    sets: str
    statistic: str
    alpha: float

    def __repr__(self) -> str:
        """Return what was compared and what is common to it."""
        return shown(self._heading(), self.summary())

    def _repr_html_(self) -> str:
        rows = [
            (k + 1, f"{r:.3g}", p_number(float(p)), "shared" if k < self.n_shared else "not known to be")
            for k, (r, p) in enumerate(zip(self.correlations, self.p_values, strict=True))
        ]
        return card(self._heading(), self.summary(), ("time course", self.statistic, "p-value", "verdict"), rows)

    def _heading(self) -> str:
        """Say what was compared."""
        sizes = " and ".join(count(len(each), "channel") for each in self.loadings if each is not None)
        return f"SharedTimeCourses: {self.sets}, {sizes}"

    def summary(self) -> str:
        """Return the bound in a sentence.

        Examples
        --------
        >>> import numpy as np
        >>> none = np.zeros((8, 0))
        >>> r, p = np.array([0.1]), np.array([0.4])
        >>> found = SharedTimeCourses(0, r, p, (none, none), "two sets", "correlation", 0.05)
        >>> found.summary()
        'No time course is known to be common to two sets (level 0.05).'
        """
        if not self.n_shared:
            return f"No time course is known to be common to {self.sets} (level {self.alpha:g})."
        verb = "is" if self.n_shared == 1 else "are"
        shared = f"At least {count(self.n_shared, 'time course')} {verb} common to {self.sets} (level {self.alpha:g})"
        return f"{shared}." if self.loadings[1] is None else f"{shared}, or a noise level that changes in both at once."

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python values, for JSON."""
        return {
            "n_shared": self.n_shared,
            "correlations": self.correlations.tolist(),
            "p_values": self.p_values.tolist(),
            "sets": self.sets,
            "statistic": self.statistic,
            "alpha": self.alpha,
            "summary": self.summary(),
        }
