"""Plain versions of exercises that the tests of other exercises reach. They use the names of the lesson."""


def parse_inputs(body, num_features, low=0.0, high=1.0, max_rows=1000):
    """Check the values of all rows one by one."""
    try:
        rows = json.loads(body)["inputs"]
        rows = rows if isinstance(rows, list) else []
    except (ValueError, KeyError, TypeError, RecursionError):
        rows = []
    if not 0 < len(rows) <= max_rows:
        raise ValueError("no rows")
    result = np.zeros((len(rows), num_features), np.float32)
    for r in range(len(rows)):
        if type(rows[r]) is not list or num_features != len(rows[r]):
            raise ValueError(f"row {r} is wrong")
        for c in range(num_features):
            number = rows[r][c]
            if type(number) is bool or not isinstance(number, (int, float)):
                raise ValueError(f"row {r}, value {c} is not a number")
            if number != number or number < low or number > high:
                raise ValueError(f"row {r}, value {c} is out of range")
            result[r, c] = number
    return result


def binomial_tail(successes, trials, probability):
    """Go from each term to the next by the ratio of both, in logarithms."""
    if not (0 <= successes <= trials and 0 < probability < 1):
        raise ValueError(f"{successes} of {trials} at {probability} is out of range")
    odds = math.log(probability) - math.log1p(-probability)
    term = trials * math.log1p(-probability)
    found = []
    for done in range(successes + 1):
        found.append(math.exp(term))
        if done < trials:
            term += math.log((trials - done) / (done + 1)) + odds
    return min(math.fsum(found), 1.0)


def ks_statistic(a, b):
    """Compare the shares at each value."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (a.ndim == b.ndim == 1 and a.size and b.size):
        raise ValueError(f"expected two samples, got shapes {a.shape} and {b.shape}")
    return max(abs(float((a <= x).mean() - (b <= x).mean())) for x in {*a.tolist(), *b.tolist()})


def ks_p_value(statistic, n, m):
    """Add the terms of the series one by one."""
    if not 0 <= statistic <= 1 or n < 1 or m < 1:
        raise ValueError(f"statistic {statistic} or sizes {n}, {m} are out of range")
    square, total, sign = statistic * statistic * n * m / (n + m), 0.0, 2.0
    if square < 0.04:
        return 1.0
    for k in range(1, 120):
        total += sign * math.exp(-2.0 * square * k * k)
        sign = -sign
    return float(np.clip(total, 0.0, 1.0))


def holm(p_values, alpha=0.05):
    """Repeatedly find the smallest remaining p-value."""
    p_values = np.asarray(p_values, np.float64)
    found = np.zeros(p_values.size, bool)
    left = list(range(p_values.size))
    while left:
        best = min(left, key=lambda place: p_values[place])
        if p_values[best] * len(left) > alpha:
            return found
        found[best] = True
        left.remove(best)
    return found


def sign_test(old_right, new_right):
    """Count both kinds of differences, then add binomial terms."""
    old_right, new_right = np.asarray(old_right, bool), np.asarray(new_right, bool)
    if old_right.shape != new_right.shape:
        raise ValueError(f"shapes differ: {old_right.shape} and {new_right.shape}")
    pairs = list(zip(old_right.tolist(), new_right.tolist(), strict=True))
    losses, count = pairs.count((True, False)), sum(one != other for one, other in pairs)
    return sum(math.comb(count, i) for i in range(losses + 1)) / 2**count


def write_atomically(path, chunks):
    """Collect the bytes, write them beside the file, and rename."""
    content = b"".join(chunks)
    beside = Path(f"{path}.part")
    beside.write_bytes(content)
    beside.replace(path)
