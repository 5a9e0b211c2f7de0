"""Applying a trained run to other recordings: where to look, what the net says there, how far that can be trusted."""

from sciml.pipeline.prediction.apply import Prediction, predict

__all__ = ["Prediction", "predict"]
