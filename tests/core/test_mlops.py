"""A service over HTTP, statistics against exact or published values, and a registry that survives crashes."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tinytorch.core.compression import quantize_layer_weights
from tinytorch.core.layers import Dense
from tinytorch.core.mlops import (
    DriftDetector,
    MLOpsPipeline,
    ModelMonitor,
    ModelRegistry,
    PredictionService,
    RetrainingTrigger,
    binomial_tail,
    holm,
    ks_p_value,
    ks_statistic,
    parse_inputs,
    serve,
    sign_test,
    write_atomically,
)
from tinytorch.core.networks import Sequential
from tinytorch.core.tensor import Tensor

SAMPLES = st.lists(st.integers(0, 6), min_size=1, max_size=30)
GOOD = b'{"inputs": [[0, 1, 0.5]]}'


def double(x):
    return Tensor(2 * np.asarray(x))


def asked(address, path="/predict", body=GOOD, **headers):
    """The status and the answer to a request."""
    request = urllib.request.Request(address + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else None


def dense():
    return Dense(3, 2, seed=0)


def test_a_request_over_http_gets_what_the_handler_answers():
    service = PredictionService(double, 3, version=4)
    with serve(service) as address:
        assert address.startswith("http://127.0.0.1:")
        assert asked(address) == (200, {"labels": [1], "version": 4})
        assert asked(address, "/health", None) == (200, {"status": "ok", "version": 4})
        assert asked(address, "/nothing", None)[0] == 404
        assert asked(address, "/predict", None)[0] == 405
        status, answer = asked(address, body=b'{"inputs": [[0, 1, 9]]}')
        assert status == 400 and "row 0, value 2" in answer["error"]
        assert asked(address, body=b"[" * 100_000)[0] == 400
        service.replace(lambda x: Tensor(np.asarray(x) * np.nan), 5)
        assert asked(address) == (500, {"error": "the model failed"})
        assert len(service.failures) == 1 and len(service.latencies) == 1
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{address}/health", timeout=2)


def test_a_service_refuses_large_bodies_and_pages_of_other_hosts():
    with serve(PredictionService(double, 3), max_bytes=1000) as address:
        assert asked(address, Host="evil.example")[0] == 404
        port = int(address.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), 5) as raw:
            raw.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
            )
            assert b"200" not in raw.recv(100)
        with socket.create_connection(("127.0.0.1", port), 5) as raw:
            raw.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
        assert asked(address)[0] == 200  # a caller who left does not matter


def test_requests_at_the_same_time_get_their_own_answers():
    service, found = PredictionService(double, 10), {}

    def send(label):
        row = np.eye(10)[label].tolist()
        body = json.dumps({"inputs": [row]}).encode()
        found[label] = [asked(address, body=body)[1]["labels"] for _ in range(5)]

    with serve(service) as address:
        threads = [threading.Thread(target=send, args=(i,)) for i in range(10)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found == {i: [[i]] * 5 for i in range(10)}
    assert len(service.inputs) == 50


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_as_inputs_or_refused_with_value_error(body):
    for each in (body, b'{"inputs": ' + body + b"}", b'{"inputs": [[' + body + b"]]}"):
        try:
            found = parse_inputs(each, 2)
        except ValueError:
            continue
        assert found.dtype == np.float32 and found.shape[1] == 2
        assert ((found >= 0) & (found <= 1)).all()


def test_more_rows_than_allowed_are_refused():
    body = json.dumps({"inputs": [[0.5]] * 11}).encode()
    assert parse_inputs(body, 1, max_rows=11).shape == (11, 1)
    with pytest.raises(ValueError, match="1 to 10 rows"):
        parse_inputs(body, 1, max_rows=10)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_a_binomial_tail_is_the_sum_of_exact_terms(k, more, p):
    n = k + more
    exact = math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))
    assert binomial_tail(k, n, p) == pytest.approx(min(1, exact), rel=1e-9)


@pytest.mark.parametrize("args", [(-1, 5, 0.5), (6, 5, 0.5), (1, 5, 0), (1, 5, 1)])
def test_arguments_of_a_binomial_tail_out_of_range_are_refused(args):
    with pytest.raises(ValueError, match="out of range"):
        binomial_tail(*args)


@settings(max_examples=50, deadline=None)
@given(SAMPLES, SAMPLES)
def test_the_statistic_is_the_largest_distance_of_the_shares(a, b):
    a, b = np.array(a, float), np.array(b, float)
    expected = max(abs((a <= x).mean() - (b <= x).mean()) for x in [*a, *b])
    assert ks_statistic(a, b) == pytest.approx(expected) == ks_statistic(b, a)


# scipy.stats.kstwobign.sf(D * sqrt(n m / (n + m))) of SciPy 1.17
@pytest.mark.parametrize(
    "args, expected",
    [
        ((0.12, 150, 150), 0.23029648),
        ((0.3, 40, 40), 0.05464633),
        ((0.4, 20, 500), 0.00425058),
        ((1.0, 3, 3), 0.09956185),
    ],
)
def test_p_values_agree_with_scipy(args, expected):
    assert ks_p_value(*args) == pytest.approx(expected, abs=1e-7)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_a_p_value_is_a_probability_that_decreases_with_the_statistic(statistic, n, m):
    found = ks_p_value(statistic, n, m)
    assert 0 <= found <= 1
    assert ks_p_value(min(1.0, statistic + 0.05), n, m) <= found + 1e-9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.5))
def test_holm_finds_at_least_what_bonferroni_finds_and_respects_every_limit(p_values, alpha):
    found = holm(p_values, alpha)
    m, count = len(p_values), int(found.sum())
    for p, significant in zip(p_values, found, strict=True):
        assert significant or p > alpha / m
        assert not significant or p <= alpha / max(1, m - count + 1)


def test_a_detector_keeps_its_false_alarm_rate_over_64_dependent_features():
    rng, mix = np.random.default_rng(0), np.random.default_rng(1).normal(size=(64, 64))
    detector = DriftDetector(rng.normal(size=(150, 64)) @ mix, alpha=0.1)
    alarms = 0
    for _ in range(40):
        detector.baseline_data = rng.normal(size=(150, 64)) @ mix
        alarms += detector.detect_drift(rng.normal(size=(100, 64)) @ mix)["drift_detected"]
    assert alarms <= 9  # 4 expected at most; more than 9 have a probability below 1 %
    shifted = rng.normal(size=(100, 64)) @ mix
    shifted[:, 7] += 3 * shifted[:, 7].std()
    found = detector.detect_drift(shifted)
    assert found["drift_detected"] and found["feature_drift"]["feature_7"]["drift"]


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((4, 2)), np.zeros((0, 3))])
def test_data_of_another_shape_is_refused_by_a_detector(bad):
    with pytest.raises(ValueError, match="rows of 3 features"):
        DriftDetector(np.zeros((5, 3))).detect_drift(bad)


def test_nan_and_missing_features_are_refused_and_never_taken_for_drift():
    for call in (
        lambda: ks_statistic([1.0, np.nan], [1.0]),
        lambda: ks_statistic([1.0], [np.nan, 2.0]),
        lambda: holm([0.5, np.nan]),
        lambda: DriftDetector(np.zeros((5, 2))).detect_drift(np.array([[0.0, np.nan]])),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call()
    with pytest.raises(ValueError, match="rows of features"):
        DriftDetector(np.zeros((5, 0)))


def test_a_monitor_refuses_impossible_records_and_reports_the_trend():
    monitor = ModelMonitor("m", 0.9)
    assert monitor.check_alerts() == {"alerts": [], "accuracy": None, "p_value": None, "p99": None}
    for args in [(1.5, 0.1), (0.5, -1.0), (0.5, float("nan")), (0.5, 0.1, 0)]:
        with pytest.raises(ValueError, match="out of range"):
            monitor.record_performance(*args)
    for accuracy in (1.0, 1.0, 0.5, 0.5):
        monitor.record_performance(accuracy, 0.01, 10)
    assert monitor.get_performance_trend() == {"older": 1.0, "newer": 0.5, "change": -0.5}
    with pytest.raises(ValueError, match="baseline_accuracy"):
        ModelMonitor("m", 1.0)


def test_a_monitor_raises_false_alerts_no_more_often_than_alpha():
    rng, alerts = np.random.default_rng(3), 0
    for _ in range(300):
        monitor = ModelMonitor("m", 0.9, alpha=0.05)
        monitor.record_performance(rng.binomial(200, 0.9) / 200, 0.01, 200)
        alerts += bool(monitor.check_alerts()["alerts"])
    assert alerts <= 25


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_sign_test_counts_only_examples_on_which_the_models_differ(pairs):
    old, new = np.array(pairs).T
    wins, losses = int((new & ~old).sum()), int((old & ~new).sum())
    count = wins + losses
    expected = sum(math.comb(count, i) for i in range(wins, count + 1)) / 2**count
    assert sign_test(old, new) == pytest.approx(expected)


def test_an_exception_in_training_leaves_the_model_in_use():
    def train(model, data):
        model.weights.data = np.zeros((3, 2), np.float32)
        raise RuntimeError("out of memory")

    model, data = dense(), (np.ones((4, 3), np.float32), np.zeros(4, int))
    before, trigger = model.weights.numpy(), RetrainingTrigger(model, data, data, train)
    with pytest.raises(RuntimeError, match="out of memory"):
        trigger.execute_retraining()
    assert trigger.model is model and np.array_equal(model.weights.numpy(), before)


def test_versions_are_loaded_as_they_were_stored_also_quantized_ones(tmp_path):
    registry = ModelRegistry(tmp_path, lambda: Sequential([dense(), Dense(2, 2, seed=1)]))
    model = registry.build()
    model.layers[0].weights.data = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert registry.register(model, accuracy=0.9) == 1
    quantize_layer_weights(model.layers[1])
    assert registry.register(model) == 2 and registry.versions() == [1, 2]
    with pytest.raises(ValueError, match="no version was promoted"):
        registry.load()
    assert registry.promote(2) == registry.current == 2
    for version in (1, 2):
        loaded = registry.load(version)
        assert np.array_equal(loaded.layers[0].weights, model.layers[0].weights)
        assert hasattr(loaded.layers[1], "quantized_weights") == (version == 2)
    assert np.array_equal(
        registry.load().layers[1].quantized_weights, model.layers[1].quantized_weights
    )
    assert registry.about(1)["accuracy"] == 0.9
    with pytest.raises(ValueError, match="no version 3"):
        registry.promote(3)


def test_damaged_weights_and_another_architecture_are_refused(tmp_path):
    registry = ModelRegistry(tmp_path, dense)
    registry.register(dense())
    with pytest.raises(ValueError, match="shape"):
        ModelRegistry(tmp_path, lambda: Dense(4, 2, seed=0)).load(1)
    stored = tmp_path / "versions" / "000001" / "weights.npz"
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        registry.load(1)


def test_registrations_and_promotions_at_the_same_time_lose_nothing(tmp_path):
    registry, found = ModelRegistry(tmp_path, dense), []

    def work():
        for _ in range(4):
            version = registry.register(dense())
            registry.promote(version)
            found.append(version)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(found) == registry.versions() == list(range(1, 17))
    assert sorted(registry.history()) == list(range(1, 17))


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.bin"
    write_atomically(path, [b"old"])
    code = (
        "import sys, time\nfrom tinytorch.core.mlops import write_atomically\n"
        "def chunks():\n    yield b'half'\n    print('writing', flush=True)\n    time.sleep(60)\n"
        "write_atomically(sys.argv[1], chunks())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, cwd=ROOT
    ) as writer:
        assert writer.stdout.readline() == b"writing\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert path.read_bytes() == b"old"


def test_a_pipeline_notices_drift_learns_promotes_and_goes_back(tmp_path):
    rng = np.random.default_rng(0)

    def train(model, data):
        x, labels = data
        design = np.column_stack([x, np.ones(len(x))])
        solution = np.linalg.lstsq(design, np.eye(2)[labels], rcond=None)[0].astype(np.float32)
        model.weights.data, model.bias.data = solution[:-1], solution[-1]

    def examples(count, shift):
        labels = rng.integers(0, 2, count)
        x = 0.3 + shift + rng.normal(0, 0.03, (count, 3))
        x[:, 0] += 0.2 * labels
        x = np.clip(x, 0, 1)
        return x.astype(np.float32), labels

    model, training, validation = dense(), examples(300, 0.0), examples(200, 0.0)
    train(model, training)
    registry = ModelRegistry(tmp_path, dense)
    pipeline = MLOpsPipeline(model, training, validation, training[0], train, registry)
    with pytest.raises(ValueError, match="start_monitoring"):
        pipeline.check_system_health()
    service = pipeline.start_monitoring()
    assert pipeline.check_system_health(examples(100, 0.0)[0], 0.98)["healthy"]
    new, labels = examples(400, 0.25)
    body = json.dumps({"inputs": new[:200].tolist()}).encode()
    status, answer = service.handle("POST", "/predict", body)
    right = (np.array(answer["labels"]) == labels[:200]).mean()
    health = pipeline.check_system_health(current_accuracy=right, count=200)
    assert status == 200 and health["actions"] == ["retrain"] and "accuracy" in health["alerts"]
    report = pipeline.learn_from(new, labels)
    assert report["accepted"] and report["version"] == 2 == service.version
    assert pipeline.check_system_health(new[:100])["alerts"] == []
    assert not pipeline.learn_from(*examples(100, 0.25))["accepted"] and service.version == 2
    assert pipeline.undo() == 1 == service.version
    assert np.array_equal(pipeline.trigger.model.weights, registry.load(1).weights)
    status = pipeline.get_pipeline_status()
    assert status["versions"] == [1, 2] and status["retrainings"] == 2 and status["checks"] == 3


def test_the_service_is_imported_without_its_server():
    code = "import sys, tinytorch.core.mlops; assert 'tornado' not in sys.modules and 'filelock' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
