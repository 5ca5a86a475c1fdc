"""Nearest neighbours and the linear classifier against scikit-learn, attention against a loop."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from mmspec.probing import LinearProbe, NearestNeighbours
from mmspec.probing import attentive as attentive_module
from mmspec.probing import neighbours as module
from mmspec.probing.attentive import AttentivePooling, AttentiveProbe
from mmspec.probing.features import Features


def cells(number: int, channels: int = 12, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (number,), generator=draws)
    x = torch.randn(number, channels, generator=draws)
    x[:, :3] += 1.5 * torch.nn.functional.one_hot(labels, 3)
    return x, labels


def test_votes_are_those_of_scikit_learn(monkeypatch):
    memory, labels = cells(400)
    shares = torch.rand(400, 3).softmax(1)
    queries, _ = cells(90, seed=1)
    monkeypatch.setattr(module, "_AT_ONCE", 400 * 7)  # in many parts, the last smaller
    found = NearestNeighbours(memory, shares, k=30, temperature=0.05)(queries)
    distance, index = (
        NearestNeighbors(n_neighbors=30, metric="cosine").fit(memory).kneighbors(queries)
    )
    weights = np.exp((1 - distance) / 0.05)
    weights /= weights.sum(1, keepdims=True)
    expected = (weights[..., None] * shares.numpy()[index]).sum(1)
    np.testing.assert_allclose(found.numpy(), expected, atol=5e-5)
    np.testing.assert_allclose(found.sum(1).numpy(), 1, atol=5e-5)


def test_fewer_cells_than_neighbours_all_vote():
    memory, labels = cells(5)
    shares = torch.eye(3)[labels]
    assert NearestNeighbours(memory, shares, k=30)(memory).argmax(1).tolist() == labels.tolist()


def test_the_linear_probe_is_that_of_scikit_learn():
    x, labels = (part.double() if part.is_floating_point() else part for part in cells(500))
    x = 40 * x + 7  # as features may lie; the probe standardises
    decay = 1e-2
    found = LinearProbe(x, torch.eye(3).double()[labels], decay=decay)
    standard = (x - x.mean(0)) / x.std(0, unbiased=False)
    reference = LogisticRegression(C=1 / (decay * len(x)), tol=1e-10, max_iter=10_000)
    reference.fit(standard, labels)
    expected = reference.predict_log_proba(standard)
    np.testing.assert_allclose(found(x).log_softmax(1).numpy(), expected, atol=5e-5)


def test_a_cell_of_two_classes_counts_for_both():
    x, labels = cells(200)
    halves = torch.eye(3)[labels] / 2 + torch.eye(3)[(labels + 1) % 3] / 2
    found = LinearProbe(x, halves)
    twice = LinearProbe(
        torch.cat([x, x]), torch.cat([torch.eye(3)[labels], torch.eye(3)[(labels + 1) % 3]])
    )
    torch.testing.assert_close(found(x), twice(x), atol=2e-3, rtol=0)
    torch.testing.assert_close(LinearProbe(x, halves)(x), found(x), atol=0, rtol=0)


def test_attention_is_that_of_a_loop_over_images_queries_and_cells():
    torch.manual_seed(0)
    channels, queries, classes = 10, 4, 3  # 4 does not divide 10: values are 12 wide
    network = AttentivePooling(channels, classes, queries).double()
    torch.nn.init.normal_(network.queries)
    cells = torch.randn(2, 7, channels, dtype=torch.float64)
    weight, bias = network.values.weight.numpy(force=True), network.values.bias.numpy(force=True)
    q, x = network.queries.numpy(force=True), cells.numpy()
    expected = []
    for image in x:
        pooled = []
        for j in range(queries):
            similarity = [image[i] @ q[j] / channels**0.5 for i in range(7)]
            shares = np.exp(similarity) / np.exp(similarity).sum()
            rows = slice(3 * j, 3 * j + 3)
            pooled.append(sum(shares[i] * (weight[rows] @ image[i] + bias[rows]) for i in range(7)))
        out = network.classify.weight.numpy(force=True) @ np.concatenate(pooled)
        expected.append(out + network.classify.bias.numpy(force=True))
    np.testing.assert_allclose(network(cells).numpy(force=True), expected, atol=1e-12)


def test_attention_finds_a_cell_that_the_mean_hides(monkeypatch):
    draws = np.random.default_rng(0)
    labels = np.arange(300, dtype=np.int32) % 2
    maps = draws.normal(0, 1, (300, 8, 6, 6)).astype(np.float16)
    for i, (row, column) in enumerate(draws.integers(0, 6, (300, 2))):
        maps[i, :, row, column] = 0
        maps[i, :2, row, column] = 6
        maps[i, 2, row, column] = 3 - 6 * labels[i]
    features = Features({"F1": maps}, labels, ("a", "b"), tuple("n" * 300))
    learnt = np.arange(200)
    pooled = torch.from_numpy(maps.astype(np.float32)).mean((2, 3))
    linear = LinearProbe(pooled[learnt], torch.eye(2)[labels[learnt]])
    assert (linear(pooled)[200:].argmax(1).numpy() == labels[200:]).mean() < 0.8
    monkeypatch.setattr(attentive_module, "EPOCHS", 60)
    judge = AttentiveProbe(features, "F1", learnt, seed=1)
    found = torch.cat([judge(batch) for batch in features.batches("F1")])
    assert (found[200:].argmax(1).numpy() == labels[200:]).mean() > 0.95
    again = AttentiveProbe(features, "F1", learnt, seed=1)
    assert torch.equal(torch.cat([again(batch) for batch in features.batches("F1")]), found)
