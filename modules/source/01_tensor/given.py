"""Plain versions of exercises that the tests of other exercises reach. They use the names of the lesson."""


def to_array(data, dtype=None):
    """Copy numbers into an array; floats that come in lists become float32."""
    plain = np.asarray(data)
    if dtype is None and not hasattr(data, "dtype") and plain.dtype == float:
        dtype = "float32"
    return np.array(plain, dtype)
