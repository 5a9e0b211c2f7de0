"""How many eigenvalues are more than noise: tests with p-values, thresholds, surrogates, and their consensus."""

from sciml.rmt.rank.parallel import (
    Deterministic,
    biwhitened,
    deterministic_parallel_analysis,
    dyson,
    parallel_analysis,
)
from sciml.rmt.rank.surrogates import Kind, SurrogateTest, permute, phase_randomize, sign_flip, surrogate_test
from sciml.rmt.rank.tests import (
    Consensus,
    RankEstimate,
    WhiteTest,
    colored_test,
    consensus,
    kritchman_nadler,
    marchenko_pastur,
    white_test,
)
from sciml.rmt.rank.thresholds import Imputation, bema, count_above, gavish_donoho, screenot, screenot_threshold

__all__ = [
    "Consensus",
    "Deterministic",
    "Imputation",
    "Kind",
    "RankEstimate",
    "SurrogateTest",
    "WhiteTest",
    "bema",
    "biwhitened",
    "colored_test",
    "consensus",
    "count_above",
    "deterministic_parallel_analysis",
    "dyson",
    "gavish_donoho",
    "kritchman_nadler",
    "marchenko_pastur",
    "parallel_analysis",
    "permute",
    "phase_randomize",
    "screenot",
    "screenot_threshold",
    "sign_flip",
    "surrogate_test",
    "white_test",
]
