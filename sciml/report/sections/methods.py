"""What was done, as a paragraph to paste, and the works it stands on."""

import platform
from collections import Counter
from collections.abc import Iterable
from importlib import metadata

from sciml.noise import NoiseFloor
from sciml.wording import count, quantity, series

__all__ = ["REFERENCES", "cite", "floor_methods", "initial_methods", "versions"]

REFERENCES = {
    "alt": "Alt J, Erdős L, Krüger T (2017). Local law for random Gram matrices. Electronic Journal of Probability 22, "
    "25. doi:10.1214/17-EJP42",
    "benjamini": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate: a practical and powerful "
    "approach to multiple testing. Journal of the Royal Statistical Society B 57, 289–300. "
    "doi:10.1111/j.2517-6161.1995.tb02031.x",
    "combrisson": "Combrisson E, Jerbi K (2015). Exceeding chance level by chance: the caveat of theoretical chance "
    "levels in brain signal classification and statistical assessment of decoding accuracy. Journal of "
    "Neuroscience Methods 250, 126–136. doi:10.1016/j.jneumeth.2015.01.010",
    "bloomfield": "Bloomfield P (1973). An exponential model for the spectrum of a scalar time series. Biometrika 60, "
    "217–226. doi:10.1093/biomet/60.2.217",
    "elkaroui": "El Karoui N (2007). Tracy–Widom limit for the largest eigenvalue of a large class of complex sample "
    "covariance matrices. Annals of Probability 35, 663–714. doi:10.1214/009117906000000917",
    "gavish": "Gavish M, Donoho DL (2017). Optimal shrinkage of singular values. IEEE Transactions on Information "
    "Theory 63, 2137–2152. doi:10.1109/TIT.2017.2653801",
    "he": "He K, Zhang X, Ren S, Sun J (2015). Delving deep into rectifiers: surpassing human-level performance"
    " on ImageNet classification. arXiv:1502.01852",
    "johnstone": "Johnstone IM (2001). On the distribution of the largest eigenvalue in principal components analysis."
    " Annals of Statistics 29, 295–327. doi:10.1214/aos/1009210544",
    "johnstone2008": "Johnstone IM (2008). Multivariate analysis and Jacobi ensembles: largest eigenvalue, Tracy–Widom "
    "limits and rates of convergence. Annals of Statistics 36, 2638–2716. doi:10.1214/08-AOS605",
    "landa": "Landa B, Zhang TTCK, Kluger Y (2022). Biwhitening reveals the rank of a count matrix. SIAM Journal on "
    "Mathematics of Data Science 4, 1420–1446. doi:10.1137/21M1456807",
    "lecun": "LeCun Y, Bottou L, Orr GB, Müller KR (1998). Efficient BackProp. In: Neural Networks: Tricks of the "
    "Trade, 9–50. doi:10.1007/3-540-49430-8_2",
    "marchenko": "Marchenko VA, Pastur LA (1967). Distribution of eigenvalues for some sets of random matrices. "
    "Mathematics of the USSR-Sbornik 1, 457–483. doi:10.1070/SM1967v001n04ABEH001994",
    "martin": "Martin CH, Mahoney MW (2021). Implicit self-regularization in deep neural networks: evidence from "
    "random matrix theory and implications for learning. Journal of Machine Learning Research 22(165), "
    "1–73. arXiv:1810.01075",
    "riedel": "Riedel KS, Sidorenko A (1995). Minimum bias multiple taper spectral estimation. IEEE Transactions on "
    "Signal Processing 43, 188–195. doi:10.1109/78.365298",
    "saxe": "Saxe AM, McClelland JL, Ganguli S (2014). Exact solutions to the nonlinear dynamics of learning in "
    "deep linear neural networks. arXiv:1312.6120",
    "schoenholz": "Schoenholz SS, Gilmer J, Ganguli S, Sohl-Dickstein J (2017). Deep information propagation. "
    "arXiv:1611.01232",
    "schwarz": "Schwarz G (1978). Estimating the dimension of a model. Annals of Statistics 6, 461–464. "
    "doi:10.1214/aos/1176344136",
    "taki": "Taki M (2017). Deep residual networks and weight initialization. arXiv:1709.02956",
    "tracy": "Tracy CA, Widom H (1996). On orthogonal and symplectic matrix ensembles. Communications in "
    "Mathematical Physics 177, 727–754. doi:10.1007/BF02099545",
    "welch": "Welch PD (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE "
    "Transactions on Audio and Electroacoustics 15, 70–73. doi:10.1109/TAU.1967.1161901",
    "bachlechner": "Bachlechner T, Majumder BP, Mao HH, Cottrell GW, McAuley J (2021). ReZero is all you need: fast "
    "convergence at large depth. arXiv:2003.04887",
    "balduzzi": "Balduzzi D, Frean M, Leary L, Lewis JP, Ma KW-D, McWilliams B (2017). The shattered gradients "
    "problem: if resnets are the answer, then what is the question? arXiv:1702.08591",
    "de": "De S, Smith SL (2020). Batch normalization biases residual blocks towards the identity function "
    "in deep networks. arXiv:2002.10444",
    "glorot": "Glorot X, Bengio Y (2010). Understanding the difficulty of training deep feedforward neural "
    "networks. Proceedings of Machine Learning Research 9, 249–256",
    "klambauer": "Klambauer G, Unterthiner T, Mayr A, Hochreiter S (2017). Self-normalizing neural networks. "
    "arXiv:1706.02515",
    "mishkin": "Mishkin D, Matas J (2016). All you need is a good init. arXiv:1511.06422",
    "pennington": "Pennington J, Schoenholz SS, Ganguli S (2017). Resurrecting the sigmoid in deep learning "
    "through dynamical isometry: theory and practice. arXiv:1711.04735",
    "xiao": "Xiao L, Bahri Y, Sohl-Dickstein J, Schoenholz SS, Pennington J (2018). Dynamical isometry and a "
    "mean field theory of CNNs: how to train 10,000-layer vanilla convolutional neural networks. "
    "arXiv:1806.05393",
    "yang": "Yang G, Simon JB, Bernstein J (2023). A spectral condition for feature learning. arXiv:2310.17813",
    "zhang": "Zhang H, Dauphin YN, Ma T (2019). Fixup initialization: residual learning without "
    "normalization. arXiv:1901.09321",
    "wachter": "Wachter KW (1980). The limiting empirical measure of multiple discriminant ratios. Annals of "
    "Statistics 8, 937–957. doi:10.1214/aos/1176345134",
}

_INITIALIZATIONS = {
    "he": ("with variance 2/fan-in (He et al. 2015)", ["he"]),
    "lecun": ("with variance 1/fan-in (LeCun et al. 1998)", ["lecun"]),
    "glorot": ("with variance 2/(fan-in + fan-out) (Glorot and Bengio 2010)", ["glorot"]),
    "selu": ("with variance 1/fan-in, as self-normalizing nets want it (Klambauer et al. 2017)", ["klambauer"]),
    "orthogonal": ("with random orthogonal matrices (Saxe et al. 2014)", ["saxe"]),
    "delta_orthogonal": ("with orthogonal matrices in the central taps (Xiao et al. 2018)", ["xiao"]),
    "looks_linear": ("in mirrored pairs, as a linear isometry (Balduzzi et al. 2017)", ["balduzzi"]),
    "taki": ("with variances that fall with the number of residual branches (Taki 2017)", ["taki"]),
    "balanced": ("with variances balanced over the depth of the residual branches (after Taki 2017)", ["taki"]),
    "fixup": ("by Fixup (Zhang et al. 2019)", ["zhang"]),
    "skipinit": ("with silent residual branches (De and Smith 2020)", ["de"]),
    "rezero": ("with silent residual branches (Bachlechner et al. 2021)", ["bachlechner"]),
    "lsuv": ("with orthogonal matrices scaled to unit variance of each layer (Mishkin and Matas 2016)", ["mishkin"]),
    "critical": (
        "at the edge between order and chaos of the mean-field theory (Schoenholz et al. 2017)",
        ["schoenholz"],
    ),
    "spectral_mup": ("with largest singular values that suit the width (Yang et al. 2023)", ["yang"]),
    "spectral": (
        "by sciml's method spectral, which chooses by structure and by train windows (after Pennington et al. 2017 and "
        "Balduzzi et al. 2017)",
        ["pennington", "balduzzi"],
    ),
}


def cite(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the works in alphabetical order, each once.

    Examples
    --------
    >>> len(cite(["welch", "marchenko", "welch"]))
    2
    """
    return tuple(REFERENCES[key] for key in sorted(set(keys)))


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python, sciml and its numerical foundations, without importing them.

    Examples
    --------
    >>> sorted(versions())
    ['numpy', 'python', 'sciml', 'scipy', 'xarray']
    """
    names = ("sciml", "numpy", "scipy", "xarray", *packages)
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def floor_methods(floor: NoiseFloor) -> tuple[str, list[str]]:
    """Return the sentences on the noise floor and the keys of what they cite."""
    methods = floor.noise_model.methods
    text = (
        f"The noise floor was found from {floor.n_samples:,} samples of {count(len(floor.used), 'channel')}"
        f"{_left_out(floor)}. Channels were demeaned and {methods.scaling}; an eigenvalue of the sample covariance "
        "counted as signal where it exceeded what the largest eigenvalue of pure noise exceeds with probability "
        f"{floor.alpha:g}. {methods.sentence} "
    )
    text += "For comparison, the upper edge of the Marchenko–Pastur law (Marchenko and Pastur 1967) is given."
    return text, [*methods.cites, "marchenko"]


def _left_out(floor: NoiseFloor) -> str:
    """Say which channels and directions the noise floor does without."""
    reasons = Counter(reason.split()[0] for reason in floor.excluded.values())
    parts = [f"{n} {reason}" for reason, n in sorted(reasons.items())]
    text = f", without {series(parts)} {'one' if sum(reasons.values()) == 1 else 'ones'}" if parts else ""
    if floor.n_null:
        text += f", and without {count(floor.n_null, 'combination')} of channels in which nothing scatters"
    return text


def spectrum_methods(segment: float) -> tuple[str, list[str]]:
    """Return the sentence on the power spectrum and the keys of what it cites."""
    text = (
        "Power spectral densities were estimated by Welch's method (Welch 1967) with half-overlapping Hann segments of "
        f"{quantity(segment, 's')}; segments with a gap or a missing sample were left out."
    )
    return text, ["welch"]


def initial_methods(method: str) -> tuple[str, list[str]]:
    """Return the clause on how weights were initialized and the keys of what it cites."""
    if method not in _INITIALIZATIONS:
        return f"by the method {method!r}", []
    words, keys = _INITIALIZATIONS[method]
    return words, list(keys)
