"""What a report says of weights without any noise: those of a net that starts in mirrored pairs, and has moved."""

import torch

from sciml.report.sections.nets.findings import weights_findings
from sciml.spectra import weight_spectra


def test_weights_of_mirrored_pairs_have_no_noise_and_are_told() -> None:
    half = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([half, -half], dim=1)
    layers = weight_spectra({"pairs.weight": torch.cat([rows, -rows])})
    assert [(layer.edge, layer.rank, layer.verdict) for layer in layers] == [(None, None, "no noise bulk left")]
    [told] = weights_findings(layers)
    assert told.text.startswith("The weight matrix has no noise bulk left: no number of directions is given")
