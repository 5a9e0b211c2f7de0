"""Image stacks: a real volume with labels, a real two-photon stack, and files like those of PatchCamelyon."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.images import Images

VOLUME, STACK = "plantseg_1135_mini.h5", "sima_2p_example.h5"
PICTURES = np.arange(3 * 10 * 12 * 3, dtype=np.uint8).reshape(3, 10, 12, 3)


def write(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_only_image_stacks_are_recognized(data_dir: Path) -> None:
    found = set()
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                if Images().sniff(tree):
                    found.add(path.name)
    assert found == {VOLUME, STACK}


def test_a_real_volume_has_a_label_for_each_voxel_and_positions_in_micrometers(data_dir: Path) -> None:
    path = data_dir / VOLUME
    volume = open_recording(path, raw=True)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(volume.values, file["raw"][()])
        np.testing.assert_array_equal(volume["label"][40:42].values, file["label"][40:42])
        np.testing.assert_array_equal(open_recording(path, "label", raw=True).values, file["label"][()])
        sizes = file["raw"].attrs["element_size_um"]
    assert volume.dims == ("z", "y", "x")
    for dim, size in zip("zyx", sizes, strict=True):
        np.testing.assert_allclose(volume[dim].values, size * np.arange(100))
        assert volume[dim].attrs["units"] == "micrometer"
    assert [(signal.path, signal.kind) for signal in list_signals(path)] == [("raw", "images"), ("label", "labels")]


def test_a_real_stack_stored_with_the_frames_last_is_presented_frames_first(data_dir: Path) -> None:
    stack = open_recording(data_dir / STACK, raw=True)
    with h5py.File(data_dir / STACK) as file:
        np.testing.assert_array_equal(stack.values, file["imaging"][()].transpose(2, 0, 1))
    assert stack.dims == ("frame", "y", "x")
    assert "taken as (y, x, frame)" in stack.attrs["history"]
    assert "time" not in stack.coords


@pytest.mark.parametrize("labels", [[0, 1, 1], np.array([0, 1, 1], dtype=np.uint8).reshape(3, 1, 1, 1)])
def test_pictures_have_one_label_each_as_in_patchcamelyon(tmp_path: Path, labels: Any) -> None:
    images = open_recording(write(tmp_path / "a.h5", x=PICTURES, y=labels), raw=True)
    assert images.dims == ("frame", "y", "x", "channel")
    np.testing.assert_array_equal(images.values, PICTURES)
    assert images["label"].dims == ("frame",)
    assert images["label"].values.tolist() == [0, 1, 1]


def test_every_table_at_the_root_that_fits_the_frames_is_a_coordinate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", images=PICTURES, ans=[2, 0, 5], ra=[0.1, 0.2, 0.3], names=["a", "b", "c"], n=[3])
    images = open_recording(path)
    assert set(images.coords) == {"ans", "ra", "names"}
    assert images["names"].values.tolist() == ["a", "b", "c"]


def test_segmentations_called_mask_do_not_become_the_mask_of_samples_to_leave_out(tmp_path: Path) -> None:
    raw = np.ones((9, 9, 9))
    volume = open_recording(write(tmp_path / "a.h5", raw=raw, mask=np.ones((9, 9, 9), dtype=np.uint8)), "raw")
    assert "mask" not in volume.coords
    np.testing.assert_array_equal(volume["mask_values"].values, 1)


def test_segmentations_without_colors_lie_along_the_pixels(tmp_path: Path) -> None:
    segments = np.arange(360, dtype=np.int32).reshape(3, 10, 12)
    images = open_recording(write(tmp_path / "a.h5", images=PICTURES, segments=segments), "images")
    assert images["segments"].dims == ("frame", "y", "x")
    np.testing.assert_array_equal(images["segments"].values, segments)


def test_axes_that_ilastik_names_are_those_with_frames_first_and_channels_last(tmp_path: Path) -> None:
    data = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.float32).reshape(2, 3, 4, 5, 6)
    path = write(tmp_path / "a.h5", exported_data=data)
    with h5py.File(path, "a") as file:
        file["exported_data"].attrs["axistags"] = json.dumps({"axes": [{"key": key} for key in "zctyx"]})
    images = open_recording(path)
    assert images.dims == ("frame", "z", "y", "x", "channel")
    np.testing.assert_array_equal(images.values, data.transpose(2, 0, 3, 4, 1))


@pytest.mark.parametrize(
    "tags",
    ["{", "[1]", '{"axes": 3}', '{"axes": [{"key": "y"}]}', '{"axes": [{"key": "q"}, {"key": "x"}]}', "[" * 5000],
)
def test_axistags_that_do_not_fit_are_none(tmp_path: Path, tags: str) -> None:
    path = write(tmp_path / "a.h5", exported_data=np.ones((9, 9)))
    with h5py.File(path, "a") as file:
        file["exported_data"].attrs["axistags"] = tags
    assert describe(path).format == "HDF5"


def test_one_picture_with_colors_is_no_stack_of_three(tmp_path: Path) -> None:
    image = open_recording(write(tmp_path / "a.h5", image=PICTURES[0].repeat(2, axis=0).repeat(2, axis=1)))
    assert image.dims == ("y", "x", "channel")


def test_whatever_else_has_several_axes_is_listed_after_the_images(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", images=PICTURES, labels=np.ones((3, 6)), ans=[1, 2, 3])
    assert [signal.path for signal in list_signals(path)] == ["images", "labels"]
    assert describe(path).default == "images"


def test_files_of_many_arrays_are_left_to_the_reader_of_plain_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", **{f"p{number}": PICTURES for number in range(17)})
    assert describe(path).format == "HDF5"


def test_colors_stored_first_are_presented_last(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", images=PICTURES.transpose(0, 3, 1, 2))
    images = open_recording(path, raw=True)
    assert images.dims == ("frame", "y", "x", "channel")
    np.testing.assert_array_equal(images.values, PICTURES)


def test_a_movie_that_states_its_frame_rate_has_a_clock(tmp_path: Path) -> None:
    movie = np.arange(5 * 8 * 9.0).reshape(5, 8, 9)
    path = write(tmp_path / "a.h5", mov=movie)
    with h5py.File(path, "a") as file:
        file["mov"].attrs["fr"] = 20.0
    recording = open_recording(path)
    assert recording.dims == ("time", "y", "x")
    assert recording.attrs["sampling_rate"] == 20.0
    np.testing.assert_array_equal(recording.values, movie)


@pytest.mark.parametrize("size", ["large", [1.0, 2.0], np.array([b"a", b"b", b"c"])])
def test_a_voxel_size_that_is_none_makes_a_stack_of_frames(tmp_path: Path, size: Any) -> None:
    path = write(tmp_path / "a.h5", raw=np.ones((9, 9, 9)), label=np.ones((9, 9, 9), dtype=np.uint16))
    with h5py.File(path, "a") as file:
        file["raw"].attrs["element_size_um"] = size
    volume = open_recording(path, "raw")
    assert volume.dims == ("frame", "y", "x")
    assert volume["label"].shape == (9, 9, 9)


@pytest.mark.parametrize(
    "arrays",
    [
        {"raw": np.ones((9, 9))},
        {"x": np.ones((9, 9, 9))},
        {"x": np.ones((2, 3, 3, 3), dtype=np.uint8)},
        {"image": "none"},
        {"images": np.ones((9, 2, 2))},
    ],
)
def test_other_arrays_are_left_to_the_reader_of_plain_files(tmp_path: Path, arrays: dict[str, Any]) -> None:
    assert describe(write(tmp_path / "a.h5", **arrays)).format == "HDF5"
