"""`sciml spectrum`: the spectra of recordings and nets, one file for each kind of target."""

from sciml_cli.options import Entry, LazyGroup

__all__ = ["spectrum"]

_NETS = "sciml_cli.commands.spectrum.nets"

spectrum = LazyGroup(
    "spectrum",
    help="Spectra of recordings and nets.",
    table={
        "report": Entry(
            "sciml_cli.commands.spectrum.report:report", "One HTML page on a recording, a run or a file of weights."
        ),
        "noise": Entry(
            "sciml_cli.commands.spectrum.noise:noise", "The noise floor of a recording, and what rises above it."
        ),
        "weights": Entry(f"{_NETS}:weights", "Which weight matrices of a net hold more than noise."),
        "activations": Entry(f"{_NETS}:activations", "What the layers of a run's net read, beside random weights."),
        "jacobian": Entry(f"{_NETS}:jacobian", "Singular values of a run's net as a map, beside theory."),
        "curvature": Entry(
            "sciml_cli.commands.spectrum.curvature:curvature", "Largest eigenvalues and density of a run's Hessian."
        ),
        "truncate": Entry(
            "sciml_cli.commands.spectrum.truncate:truncate", "A run's net without the noise in its layers."
        ),
        "track": Entry(f"{_NETS}:track", "Spectra that a run followed while it trained."),
    },
)
