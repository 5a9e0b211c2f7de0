"""Change since the start: what training added, and how it lies to the data."""

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.spectra import weight_spectra
from sciml.spectra.weights import alignment


@pytest.fixture
def start() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 30))


def trained(start: nn.Module, direction: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the weights after one direction among the inputs of the first layer was added, and a little noise."""
    state = {name: each.clone() for name, each in start.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    state["0.weight"] += torch.outer(torch.ones(40) / 40**0.5, direction / direction.norm()) * 2.0
    state["0.weight"] += 0.003 * torch.randn(40, 60, generator=generator)
    return state


def test_change_has_the_direction_that_was_added_and_lies_along_the_data(start: nn.Module) -> None:
    direction = torch.randn(60, generator=torch.Generator().manual_seed(2))
    spectra = weight_spectra(trained(start, direction), start=start, components={"0": direction.numpy()[None] * 3.0})
    first, second = spectra[0].change, spectra[1].change
    assert first is not None
    assert second is not None
    assert (first.rank, first.words) == (1, "1 direction learned on a noise bulk")
    assert first.singular_values[0] == pytest.approx(2.0, rel=0.05)
    assert first.outlier_overlap is not None
    assert first.outlier_overlap > 0.5
    assert first.data_alignment is not None
    assert first.data_alignment.squared_cosines[0] > 0.95
    assert first.data_alignment.chance == pytest.approx(1 / 60)
    assert first.data_alignment.p_values[0] < 1e-20
    assert spectra[0].data_alignment is not None
    assert spectra[0].data_alignment.squared_cosines[0] > 0.5
    assert (second.relative_size, second.stable_rank) == (0.0, 0.0)
    assert "change" in spectra.to_dict()["layers"][0]


def test_no_change_and_missing_starts_are_said(start: nn.Module) -> None:
    state = start.state_dict()
    spectra = weight_spectra(start, start={"0.weight": state["0.weight"]}, components={"9": np.ones((1, 3))})
    assert spectra[0].change is not None
    assert spectra[0].change.relative_size == 0.0
    assert spectra[1].change is None
    assert spectra.notes[-2:] == ("not in the start: 2", "data components of layers that are not there: 9")


def test_start_of_another_net_is_refused(start: nn.Module) -> None:
    with pytest.raises(DataError, match="expected a start of shape"):
        weight_spectra(start, start={"0.weight": torch.ones(3, 60)})
    with pytest.raises(ConfigError, match="one number an input"):
        alignment(np.eye(4)[:, :1], np.ones((1, 3)))


def test_alignment_of_random_directions_is_at_chance_with_uniform_p_values() -> None:
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        vector = rng.normal(size=(30, 1))
        found = alignment(vector / np.linalg.norm(vector), rng.normal(size=(6, 30)))
        p.append(found.p_values[0])
    # mean of 200 uniform values: sd 0.0204
    assert np.mean(p) == pytest.approx(0.5, abs=0.09)
    assert found.chance == pytest.approx(0.2)


def test_change_and_power_law_are_among_the_arrays(start: nn.Module) -> None:
    spectra = weight_spectra(trained(start, torch.ones(60)), start=start, power_laws=True)
    variables = spectra.variables()
    widths = {values.shape[1] for dims, values, _ in variables.values() if dims == ("layer", "index")}
    assert widths == {40}
    assert variables["change_rank"][1][0] == 1.0
    assert variables["power_law_verdict"][1].tolist() == [each.power_law.verdict for each in spectra if each.power_law]
    assert "change_size" not in weight_spectra(start).variables()
