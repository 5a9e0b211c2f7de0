"""What a report says of weights without any noise: those of a net that starts in mirrored pairs, and has moved."""

import torch

from sciml.report.sections.weights import weight_finding
from sciml.spectra import weight_spectra


def test_weights_of_mirrored_pairs_have_no_noise_and_are_told() -> None:
    half = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([half, -half], dim=1)
    layers = weight_spectra({"pairs.weight": torch.cat([rows, -rows])})
    assert [(layer.edge, layer.rank, layer.verdict) for layer in layers] == [(None, None, "no noise bulk left")]
    assert weight_finding(layers).text == (
        "0 of 1 weight matrix look random: no singular value above the noise edge. No noise bulk is left in pairs."
    )
