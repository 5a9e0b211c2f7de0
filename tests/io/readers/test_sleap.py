"""Analysis files of SLEAP: points over frames, with the names of tracks and nodes."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import list_signals, open_recording

TRACKS = np.random.default_rng(0).normal(size=(3, 2, 5, 40))  # (track, space, node, frame)


@pytest.mark.parametrize("turned", [False, True])
def test_points_come_by_frame_track_and_node(tmp_path: Path, turned: bool) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tracks"] = TRACKS.T if turned else TRACKS
        file["point_scores"] = TRACKS[:, 0].T if turned else TRACKS[:, 0]
        file["node_names"] = np.array([b"nose", b"ear", b"neck", b"hip", b"tail"])
        file["track_names"] = np.array([b"a", b"b", b"c"])
        file["track_occupancy"] = np.ones((40, 3), np.uint8)
        file["edge_inds"], file["video_path"] = np.array([[0, 1]]), "mice.mp4"
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == ["tracks", "point_scores"]
    recording = open_recording(tmp_path / "a.h5")
    assert recording.sizes == {"frame": 40, "track": 3, "space": 2, "node": 5}
    np.testing.assert_array_equal(recording.sel(node="neck", space="y", track="b").values, TRACKS[1, 1, 2], strict=True)
    scores = open_recording(tmp_path / "a.h5", "point_scores")
    np.testing.assert_array_equal(scores.sel(track="c", node="ear").values, TRACKS[2, 0, 1])
