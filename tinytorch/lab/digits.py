"""Load the handwritten digits that ship with the course; `data/README.md` names their authors and license."""

from pathlib import Path

import numpy as np

PLACE = Path(__file__).with_name("data") / "digits.npz"
CLASSES = 10
WHITE = 16  # the largest value of a pixel


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 from 0 to 16 of shape (1797, 8, 8), and their labels, uint8 of shape (1797,)."""
    with np.load(PLACE, allow_pickle=False) as stored:
        return stored["images"], stored["labels"]


def rotated(images: np.ndarray, degrees: float) -> np.ndarray:
    """Return square images rotated counterclockwise about their center, by bilinear interpolation.

    Parameters
    ----------
    images : ndarray, shape (..., n, n)
        What is outside an image counts as 0.
    degrees : float

    Returns
    -------
    ndarray
        Of the same shape, float32.
    """
    images = np.asarray(images, np.float32)
    if images.ndim < 2 or images.shape[-1] != images.shape[-2]:
        raise ValueError(f"expected square images, got shape {images.shape}")
    n, turn = images.shape[-1], np.deg2rad(degrees)
    rows, columns = np.indices((n, n)) - (n - 1) / 2
    # Where each pixel of the result comes from. Rows count downwards.
    y = np.cos(turn) * rows + np.sin(turn) * columns + (n - 1) / 2
    x = np.cos(turn) * columns - np.sin(turn) * rows + (n - 1) / 2
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    padding = [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)]
    padded, result = np.pad(images, padding), np.zeros_like(images)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (1 - np.abs(y - top - i)) * (1 - np.abs(x - left - j))
        at = np.clip(top + i + 1, 0, n + 1), np.clip(left + j + 1, 0, n + 1)
        result += padded[..., at[0], at[1]] * share.astype(np.float32)
    return result
