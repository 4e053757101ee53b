"""The handwritten digits: the file, its presence in releases and sandboxes, and the rotation of images."""

import zipfile

import numpy as np

from tests.conftest import ROOT
from tinytorch.lab import digits
from tito.classroom import autograder, release
from tito.course import Course
from tito.grading.sandbox import shown_files

README = ROOT / "tinytorch" / "lab" / "data" / "README.md"
NAME = "tinytorch/lab/data/digits.npz"


def test_there_are_1797_images_of_all_ten_digits():
    images, labels = digits.load()
    assert images.shape == (1797, 8, 8) and images.dtype == labels.dtype == np.uint8
    assert (images.min(), images.max()) == (0, digits.WHITE)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(np.unique(images.reshape(1797, 64), axis=0)) == 1797


def test_the_file_is_small_and_its_authors_and_license_are_named_beside_it():
    assert digits.PLACE.stat().st_size < 100_000
    text = README.read_text(encoding="utf-8")
    for words in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert words in text


def test_releases_the_sandbox_and_the_autograder_have_the_digits():
    course, data = Course(ROOT), digits.PLACE.read_bytes()
    files = release.tools(course, ".")
    assert files[NAME] == data and "CC BY 4.0" in files["tinytorch/lab/data/README.md"]
    assert "tinytorch.lab" in files["pyproject.toml"]
    [folder] = [
        outside
        for inside, outside in shown_files.for_worker().shown.items()
        if inside == str(shown_files.LIBRARY)
    ]
    assert (shown_files.Path(folder) / "lab" / "data" / "digits.npz").read_bytes() == data
    assert ".npz" in autograder.SUFFIXES and zipfile.is_zipfile(digits.PLACE)


def test_rotation_keeps_straight_images_and_agrees_with_quarter_turns():
    images = digits.load()[0][:20].astype(np.float32)
    assert np.array_equal(digits.rotated(images, 0), images)
    for turns in (1, 2, 3):
        expected = np.rot90(images, turns, axes=(-2, -1))
        assert np.allclose(digits.rotated(images, 90 * turns), expected, atol=1e-4)
    small = digits.rotated(images, 10)
    assert small.dtype == np.float32 and small.shape == images.shape
    assert small.min() >= 0 and small.max() <= digits.WHITE + 1e-3
    assert 0.8 < small.sum() / images.sum() < 1.01  # ink leaves at the corners only
    assert np.allclose(
        digits.rotated(digits.rotated(images[0], 20), -20)[3:5, 3:5], images[0, 3:5, 3:5], atol=5
    )
