"""What tasks share in evaluating a trained model: what it says of held-out windows, and how far that can be trusted."""

from sciml.pipeline.evaluation.tested import Tested, baseline_numbers, model_outputs, parts_for_baselines, pool

__all__ = ["Tested", "baseline_numbers", "model_outputs", "parts_for_baselines", "pool"]
