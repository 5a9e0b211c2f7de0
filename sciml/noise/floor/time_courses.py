"""What the spectrum of its time course does to a component, in noise that is colored too."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["TimeCourseEffects", "time_course_effects"]


NEAR_EDGE = 1.001  # of the edge: eigenvalues below it count as there, where the equations still have a solution
STEP = 1e-4  # relative, of the derivative along the eigenvalue


@dataclass(frozen=True)
class TimeCourseEffects:
    """What holds for each component (k,) over what would, were its time course spread evenly over all frequencies.

    `relative_noise_power` is the noise at the frequencies of the time course over that of all.
    """

    strength: FloatArray
    overlap_time: FloatArray
    overlap_channel: FloatArray
    relative_noise_power: FloatArray


def time_course_effects(profile: VarianceProfile, eigenvalues: FloatArray, found: FloatArray) -> TimeCourseEffects:
    r"""Return how the spectra of time courses change strengths and overlaps of components in noise of some profile.

    A component of strength x whose time course u has the part w_b of its power in the rows b has its eigenvalue z
    where D(z) = 1 / x², and overlaps (Benaych-Georges and Nadakuditi 2012, doi:10.1016/j.jmva.2012.04.019)

    .. math:: D = \varphi \tilde\varphi, \quad \varphi = \sqrt z \sum_b w_b g_b, \quad
              \tilde\varphi = \sqrt z \langle a \rangle, \qquad
              c^2_\text{time} = -2 \varphi D / D', \quad c^2_\text{channel} = -2 \tilde\varphi D / D'

    with g, a the resolvent of the noise (`VarianceProfile.resolvent`) and the derivative along the square root of z.

    Of the time course that was found, noise is a part: its power is alpha w g² + beta S g² with S the noise and
    alpha (sum w g)² = c²_time. Powers add up to one; where all channels have one spectrum, alpha sum w g² is the same
    for every w, so that beta is that of an even one.

    Parameters
    ----------
    profile
        Of the noise: rows are frequencies.
    eigenvalues
        Of the components, (k,), in the units of the profile.
    found
        Power of the time courses that were found, in each row of the profile, (k, row), one in all.
    """
    z = np.maximum(eigenvalues, NEAR_EDGE * profile.edge) * np.array([[1 - STEP], [1.0], [1 + STEP]])
    rows, columns = (each.reshape(*z.shape, -1) for each in profile.resolvent(z.ravel()))
    channel = np.sqrt(z) * (columns @ profile.column_counts) / profile.n_features
    counts = profile.row_counts
    noise = profile.values @ profile.column_counts / profile.n_features
    even = np.tile(counts / counts.sum(), (len(found), 1))
    reference, squares = _outliers(z, even, rows, channel), rows[1] ** 2
    signal = reference[1] * (even * squares).sum(axis=1) / (even * rows[1]).sum(axis=1) ** 2
    rest = np.maximum(1 - signal, 0.0) / (squares @ (counts * noise))
    power = np.maximum(found / squares - rest[:, None] * counts * noise, 0.0)
    total = power.sum(axis=1, keepdims=True)
    power = np.where(total > 0, power / np.where(total > 0, total, 1.0), even)
    own = _outliers(z, power, rows, channel)
    return TimeCourseEffects(
        strength=np.sqrt(reference[0] / own[0]),
        overlap_time=own[1] / reference[1],
        overlap_channel=own[2] / reference[2],
        relative_noise_power=(power @ noise) / float(even[0] @ noise),
    )


def _outliers(
    z: FloatArray, power: FloatArray, rows: FloatArray, channel: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return D and both overlaps at the middle of three z (3, k)."""
    time = np.sqrt(z) * (power * rows).sum(axis=2)
    transform = time * channel
    slope = (transform[2] - transform[0]) / (np.sqrt(z[2]) - np.sqrt(z[0]))
    return transform[1], -2 * time[1] * transform[1] / slope, -2 * channel[1] * transform[1] / slope
