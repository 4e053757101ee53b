"""The wire format: plain values arrive unchanged, and hostile or too large messages are refused."""

import contextlib
import io
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.tensor import Tensor
from tinytorch.lab import timing
from tito.grading.inside import wire

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
DTYPES = st.sampled_from(["?", "i1", "u8", "<i4", ">f8", "f2", "c16", "M8[s]", "U3", "S2"])


def refuse(_, value):
    raise wire.WireError(f"cannot send {type(value).__name__}")


def travel(value, **options):
    stream = io.BytesIO()
    wire.write(stream, wire.pack(wire.Encoder(refuse, **options).message(value)))
    stream.seek(0)
    tree, buffers = wire.read(stream)
    return wire.Decoder(buffers, refuse, trusted="keep_strides" in options).value(tree)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex) and isinstance(b, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def test_a_dictionary_may_contain_the_mark_of_a_tag_or_nothing():
    for value in ({}, {"!": "array"}, {"": {"!": "tuple", "items": []}}, {1: {}, "!": None}):
        assert same(travel(value), value)


@given(PLAIN)
def test_plain_values_arrive_unchanged(value):
    assert same(travel(value), value)


@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_arrays_arrive_with_dtype_shape_and_bytes(array):
    arrived = travel(array)
    assert type(arrived) is np.ndarray
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "view",
    [
        np.arange(24.0).reshape(4, 6)[::-1, 1::2],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.broadcast_to(np.float32(3), (4, 5)),
        np.arange(6)[::-2],
    ],
)
def test_views_keep_their_strides(view):
    arrived = travel(view, keep_strides=True)
    assert arrived.strides == view.strides
    np.testing.assert_array_equal(arrived, view)


def test_read_only_arrays_stay_read_only():
    array = np.arange(3)
    array.flags.writeable = False
    assert not travel(array).flags.writeable
    assert travel(np.arange(3)).flags.writeable


def test_scalars_types_slices_and_tensors_keep_their_type():
    for value in (np.float32(1.5), np.int8(-3), np.dtype("i4"), np.float32, ValueError, int):
        arrived = travel(value)
        assert type(arrived) is type(value) and arrived == value
    assert travel(slice(1, None, 2)) == slice(1, None, 2)
    assert travel((..., NotImplemented)) == (Ellipsis, NotImplemented)
    tensor = travel(Tensor([1.5, 2.5]))
    assert type(tensor) is Tensor and tensor.dtype == np.float32


def test_results_of_the_instruments_travel_field_by_field():
    profile = timing.Profile.from_samples(np.ones(3), np.ones(3), Tensor([1, 2]), 10)
    arrived = travel(profile)
    assert type(arrived) is timing.Profile
    assert arrived.median_time == profile.median_time
    np.testing.assert_array_equal(arrived.result, [1, 2])


def test_an_answer_brings_no_class():
    profile = timing.Profile.from_samples(np.ones(3), np.ones(3), Tensor([1, 2]), 10)
    tree, buffers = wire.Encoder(refuse, answers=True).message(profile)
    arrived = wire.Decoder(buffers, refuse, answers=True).value(tree)
    assert type(arrived) is wire.Record and not hasattr(arrived, "keys")
    assert arrived.median_time == 1.0 and arrived.peak_memory == 10
    assert repr(arrived).startswith("Profile(mean_time=1, ")
    assert type(travel(arrived)) is timing.Profile
    for value in (float, np.float32, ValueError):
        with pytest.raises(wire.WireError):
            wire.Encoder(refuse, answers=True).message(value)
        tree, buffers = wire.Encoder(refuse).message(value)
        with pytest.raises(wire.WireError):
            wire.Decoder(buffers, refuse, answers=True).value(tree)


@pytest.mark.parametrize("value", [object(), np.array([object()]), lambda: 1, np.zeros(2, "i4,f8")])
def test_what_is_not_plain_data_is_refused(value):
    with pytest.raises(wire.WireError):
        travel(value)


def test_a_subclass_of_an_array_is_not_sent_as_one():
    class Equal(np.ndarray):
        def __eq__(self, other):
            return np.ones(self.shape, bool)

    with pytest.raises(wire.WireError):
        travel(np.zeros(3).view(Equal))


def test_a_value_nested_too_deep_is_refused():
    value = []
    for _ in range(100):
        value = [value]
    with pytest.raises(wire.WireError):
        travel(value)


HOSTILE = [
    {"!": "array", "dtype": "O", "shape": [1], "writeable": True, "buffer": 0},
    {"!": "array", "dtype": "f8", "shape": [-1], "writeable": True, "buffer": 0},
    {"!": "array", "dtype": "f8", "shape": [10**9], "writeable": True, "buffer": 0},
    {
        "!": "array",
        "dtype": "f8",
        "shape": [1],
        "strides": [8],
        "offset": 4096,
        "writeable": True,
        "buffer": 0,
    },
    {"!": "array", "dtype": "f8", "shape": [1], "writeable": True, "buffer": 7},
    {"!": "array", "dtype": "f8,O", "shape": [0], "writeable": True, "buffer": 0},
    {"!": "type", "name": "eval"},
    {"!": "type", "name": "numpy.load"},
    {"!": "record", "type": "os:system", "fields": {}},
    {"!": "record", "type": "tinytorch.lab.timing:Profile", "fields": {"result": 1}},
    {"!": "record", "type": "tinytorch.lab.checks:Mismatch", "fields": {}},
    {"!": "record", "type": "tinytorch.lab.nothing:Nothing", "fields": {}},
    {"!": "pickle", "buffer": 0},
    {"!": "name", "name": "double"},
    {"!": "int", "value": "f" * 10000},
    {"!": "constant", "name": "__import__"},
    {"!": "dict", "items": [[[], 1]]},
    {"!": "set", "items": [[1]]},
    {"!": "nothing"},
    {"!": []},
    {"name": {"!": "nothing"}},
    {"!": "tuple", "items": 3},
]


@pytest.mark.parametrize("tree", HOSTILE, ids=lambda tree: json.dumps(tree)[:40])
def test_a_hostile_tree_is_a_wire_error_and_nothing_else(tree):
    for answers in (False, True):
        if answers and tree.get("type", "").endswith(("Profile", "Mismatch", "Nothing")):
            continue  # the fields are all that is taken of it
        with pytest.raises(wire.WireError):
            wire.Decoder([memoryview(bytes(8))], refuse, answers=answers).value(tree)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "!",
                    "items",
                    "buffer",
                    "dtype",
                    "shape",
                    "strides",
                    "offset",
                    "parts",
                    "name",
                    "fields",
                ]
            ),
            inner
            | st.sampled_from(
                ["array", "scalar", "tuple", "dict", "tensor", "record", "slice", "<f8", "int"]
            ),
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_value_or_a_wire_error(tree):
    for answers in (False, True):
        with contextlib.suppress(wire.WireError):
            wire.Decoder([memoryview(bytes(64))], refuse, answers=answers).value(tree)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_a_wire_error_or_the_end(data):
    with contextlib.suppress(wire.WireError):
        wire.read(io.BytesIO(data))


def test_a_message_that_announces_too_much_is_refused():
    with pytest.raises(wire.WireError):
        wire.read(io.BytesIO(wire.HEAD.pack(2**31, 2**31)))


def test_what_is_too_large_is_refused_before_anything_is_sent():
    with pytest.raises(wire.WireError, match="larger than"):
        travel(np.zeros(wire.LIMIT, np.uint8))


def test_large_arrays_share_no_memory():
    a = np.arange(50_000.0)
    first, second = travel((a, a))
    first[0] = 7
    assert (second[0], a[0]) == (0, 0)
    stream = io.BytesIO()
    wire.write(stream, wire.pack(wire.Encoder(refuse).message([a, np.ones(3), a[::2]])))
    stream.seek(0)
    tree, buffers = wire.read(stream)
    for again in (tree[0], tree[0] | {"buffer": -len(buffers)}):
        with pytest.raises(wire.WireError):
            wire.Decoder(buffers, refuse).value({"!": "tuple", "items": [tree[0], again]})
    assert all(x.flags.aligned for x in wire.Decoder(buffers, refuse).value(tree))


MERSENNE = 2**61 - 1  # integers that differ by it have the same hash
NODE = {"!": "array", "dtype": "<f8", "shape": [2], "writeable": True, "buffer": 0}
COSTLY = {
    "keys of a dict that collide": {
        "!": "dict",
        "items": [[{"!": "int", "value": hex(n * MERSENNE)}, 0] for n in range(1, 100)],
    },
    "items of a set that collide": {"!": "set", "items": [float(n * MERSENNE) for n in [1] * 99]},
    "tuples that collide": {
        "!": "frozenset",
        "items": [
            {"!": "tuple", "items": [{"!": "int", "value": hex(n * MERSENNE)}]} for n in range(99)
        ],
    },
    "a broadcast view": NODE | {"shape": [10**6, 10**6], "strides": [0, 0], "offset": 0},
    "a small view": NODE | {"strides": [8], "offset": 0},
    "more elements than bytes": NODE | {"shape": [10**6]},
    "many empty rows": NODE | {"shape": [10**12, 0]},
    "elements without bytes": NODE | {"shape": [10**7], "dtype": "V0"},
    "one buffer as many arrays": [NODE, NODE],
    "one buffer as many texts": [{"!": "bytes", "buffer": 0}] * 2,
    "a long range": {"!": "range", "parts": [0, 10**18, 1]},
    "a long range backwards": {"!": "range", "parts": [10**18, 0, -1]},
    "a range of large integers": {
        "!": "range",
        "parts": [0, {"!": "int", "value": "0x1" + "0" * 4000}, 1],
    },
    "a dtype with a long name": {"!": "dtype", "name": "f8," * 10**6},
    "a huge integer": {"!": "int", "value": "0x" + "f" * 10**6},
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_small_answer_that_would_cost_much_is_refused_at_once(kind):
    started = time.process_time()
    with pytest.raises(wire.WireError):
        wire.Decoder([memoryview(bytearray(16))], refuse, answers=True).value(COSTLY[kind])
    assert time.process_time() - started < 0.5


def test_what_costs_little_still_arrives():
    for value in ({n: n for n in range(500)}, {2.0**n for n in range(99)}, range(9, 0, -2)):
        assert same(travel(value), value)
    assert travel(np.empty((5, 0))).shape == (5, 0)
