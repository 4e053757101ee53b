"""Datasets and loaders against NumPy's indexing, over many sizes."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core.dataloader import (
    ArrayDataset,
    DataLoader,
    Dataset,
    DigitsDataset,
    Prefetcher,
    SimpleDataset,
    Standardizer,
    batch_indices,
    collate,
    read_ahead,
    split_indices,
)
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks


def rows(count, columns=3):
    return np.arange(count * columns, dtype=np.float32).reshape(count, columns)


def labels_of(loader):
    return [int(label) for _, labels in loader for label in labels.numpy()]


@given(
    count=st.integers(0, 60), size=st.integers(1, 20), drop=st.booleans(), seed=st.integers(0, 9)
)
def test_a_loader_gives_each_row_once_and_as_many_batches_as_its_length(count, size, drop, seed):
    dataset = ArrayDataset(rows(count), np.arange(count))
    loader = DataLoader(dataset, size, drop_last=drop, seed=seed)
    batches = list(loader)
    assert len(batches) == len(loader)
    seen = [int(label) for _, labels in batches for label in labels.numpy()]
    assert len(seen) == len(set(seen)) == (count // size * size if drop else count)
    for inputs, labels in batches:
        checks.equal(inputs, rows(count)[labels.numpy()])


@given(
    labels=st.lists(st.integers(-3, 3), max_size=80),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_a_split_takes_the_share_of_every_class_and_loses_nothing(labels, fraction, seed):
    labels = np.array(labels, np.int64)
    train, test = split_indices(labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for each in np.unique(labels):
        assert (labels[test] == each).sum() == round(fraction * (labels == each).sum())


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        split_indices([0, 1], fraction)


def test_a_batch_by_one_index_equals_collated_items():
    dataset = SimpleDataset(20, seed=1)
    indices = np.array([4, 4, 19, 0])
    for one, other in zip(
        dataset.batch(indices), collate([dataset[i] for i in indices]), strict=True
    ):
        checks.equal(one, other)


def test_an_item_has_memory_of_its_own():
    dataset = ArrayDataset(rows(3), [0, 1, 2])
    dataset[1][0].data[:] = 99
    checks.equal(dataset[1][0], rows(3)[1])


def test_a_dataset_copies_the_arrays_that_it_is_given():
    inputs = rows(3)
    dataset = ArrayDataset(inputs, [0, 1, 2])
    inputs[:] = 0
    checks.equal(dataset[2][0], rows(3)[2])


def test_a_loop_over_a_dataset_ends():
    assert [int(label) for _, label in ArrayDataset(rows(4), [3, 2, 1, 0])] == [3, 2, 1, 0]


def test_lengths_that_differ_are_refused_with_both():
    with pytest.raises(ValueError, match=r"3 inputs, but 2 labels"):
        ArrayDataset(rows(3), [0, 1])


def test_the_base_class_names_the_method_that_is_missing():
    class Mine(Dataset):
        pass

    for ask in (len, lambda d: d[0], lambda d: d.get_num_classes()):
        with pytest.raises(NotImplementedError, match="Mine"):
            ask(Mine())


def test_classes_and_shapes_are_reported():
    dataset = SimpleDataset(30, num_features=7, num_classes=5)
    assert dataset.get_num_classes() == 5 and dataset.get_sample_shape() == (7,)
    assert DigitsDataset(shape=(1, 8, 8)).get_sample_shape() == (1, 8, 8)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_generated_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        SimpleDataset(*sizes)


def test_both_parts_of_the_digits_have_every_class_and_no_image_in_common():
    train, test = DigitsDataset(train=True), DigitsDataset(train=False)
    assert len(train) + len(test) == 1797 and 355 <= len(test) <= 363
    assert len(np.unique(test.labels)) == len(np.unique(train.labels)) == 10
    assert train.inputs.min() == 0 and train.inputs.max() == 1 and train.inputs.dtype == np.float32
    both = np.concatenate([train.inputs, test.inputs])
    assert len(np.unique(both, axis=0)) == 1797


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None, "4"])
def test_a_batch_size_that_is_not_a_positive_integer_is_refused(size):
    with pytest.raises(ValueError, match="batch_size"):
        DataLoader(SimpleDataset(4), size)


def test_no_dataset_is_refused():
    with pytest.raises(TypeError, match="None"):
        DataLoader(None)


def test_a_loader_without_a_seed_draws_a_seed_and_repeats_its_order():
    first = DataLoader(SimpleDataset(50), seed=None)
    batches = list(first)
    again = DataLoader(first.dataset, seed=first.seed)
    for one, other in zip(batches, again, strict=True):
        checks.equal(one[0], other[0])
    assert DataLoader(first.dataset).seed != first.seed


@given(rows=st.integers(1, 30), seed=st.integers(0, 9))
def test_standardized_training_data_has_mean_zero_and_deviation_one(rows, seed):
    inputs = np.random.default_rng(seed).normal(5, 3, (rows, 4))
    inputs[:, 2] = 8
    scaled = Standardizer().fit(inputs)(inputs)
    assert scaled.dtype == np.float32 and np.abs(scaled.mean(axis=0)).max() < 1e-4
    deviation = scaled.std(axis=0)
    assert deviation[2] == 0
    if rows > 1:
        assert np.abs(deviation[[0, 1, 3]] - 1).max() < 1e-4


def test_a_standardizer_needs_rows_and_a_fit():
    with pytest.raises(ValueError, match="no rows"):
        Standardizer().fit(np.empty((0, 3)))
    with pytest.raises(ValueError, match="fit"):
        Standardizer()(np.ones((1, 2)))


@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_reading_ahead_changes_no_item(items, depth):
    assert list(read_ahead(items, depth)) == items


def test_a_prefetcher_gives_the_batches_of_its_loader_in_every_epoch():
    dataset = ArrayDataset(rows(23), np.arange(23))
    plain, ahead = (DataLoader(dataset, 4, seed=6) for _ in range(2))
    ahead = Prefetcher(ahead, depth=3)
    assert len(ahead) == len(plain)
    for _ in range(3):
        assert labels_of(ahead) == labels_of(plain)


def test_a_depth_below_one_is_refused():
    with pytest.raises(ValueError, match="depth"):
        next(read_ahead([1], 0))


def test_a_reader_that_stops_leaves_no_thread():
    before = threading.active_count()
    for _ in range(5):
        reader = read_ahead(range(100), 2)
        next(reader)
        reader.close()
    assert threading.active_count() == before


def test_batches_of_generators_with_equal_seeds_are_equal():
    one, other = (batch_indices(20, 6, np.random.default_rng(2)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        checks.equal(a, b)


def test_a_batch_is_a_pair_of_tensors():
    [(inputs, labels)] = DataLoader(SimpleDataset(3), 8)
    assert type(inputs) is Tensor and type(labels) is Tensor
    assert inputs.dtype == np.float32 and labels.dtype == np.int32
