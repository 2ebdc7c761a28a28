"""Post-processing beside mmdet's rule, written here again query by query."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tdmr1_reward_geneval.instances import MOST, instances

PADDED, RESIZED, ORIGINAL = (64, 96), (60, 80), (45, 61)


def logits(seed=0, queries=30, classes=80):
    """Of a network that is sure of much: some queries above 0.3, masks of blobs and specks."""
    generator = torch.Generator().manual_seed(seed)
    of_classes = 5 * torch.randn(queries, classes + 1, generator=generator)
    coarse = 4 * torch.randn(queries, 1, 4, 6, generator=generator)
    fine = torch.randn(queries, 1, 16, 24, generator=generator)
    return of_classes, (F.interpolate(coarse, (16, 24), mode="bilinear") + fine)[:, 0]


def by_mmdet(of_classes, of_masks, threshold):
    """(class, score, box, mask) of every object, the best first."""
    probabilities = of_classes.softmax(-1)[:, :-1].numpy()
    pairs = [(p, q, c) for q, row in enumerate(probabilities) for c, p in enumerate(row)]
    found = []
    for probability, query, index in sorted(pairs, reverse=True)[:100]:
        one = of_masks[query][None, None]
        one = F.interpolate(one, PADDED, mode="bilinear", align_corners=False)
        one = one[..., : RESIZED[0], : RESIZED[1]]
        one = F.interpolate(one, ORIGINAL, mode="bilinear", align_corners=False)[0, 0].numpy()
        mask = one > 0
        score = probability * (1 / (1 + np.exp(-one)))[mask].sum() / (mask.sum() + 1e-6)
        if score > threshold:
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            found.append((index, score, box, mask))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.01, 0.3])
def test_objects_are_those_of_mmdet_s_rule(seed, threshold):
    expected = by_mmdet(*logits(seed), threshold)
    found = instances(*logits(seed), PADDED, RESIZED, ORIGINAL, threshold)
    assert len(found) == len(expected) > 3
    for one, (index, score, box, mask) in zip(found, expected, strict=True):
        assert (one.index, one.box) == (index, box)
        assert one.score == pytest.approx(score, abs=1e-6)
        assert (one.mask == mask).all() and one.mask.shape == ORIGINAL


def sure(queries=1, mask=100.0):
    """Queries that are as sure of class 0 as of nothing, and one mask of one value."""
    return torch.zeros(queries, 2), torch.full((queries, 16, 24), mask)


def test_a_score_at_the_threshold_is_not_above_it():
    found = instances(*sure(), PADDED, RESIZED, ORIGINAL, 0.4999)
    assert [one.score for one in found] == [0.5]
    assert found[0].box == (0, 0, ORIGINAL[1], ORIGINAL[0])
    assert instances(*sure(), PADDED, RESIZED, ORIGINAL, 0.5) == []


def test_what_is_in_the_padding_is_not_in_the_image():
    of_classes, of_masks = sure(mask=-100.0)
    of_masks[:, 16:] = of_masks[:, :, 22:] = 100.0  # beyond (60, 80) of (64, 96)
    assert instances(of_classes, of_masks, PADDED, RESIZED, ORIGINAL, 0.3) == []


def test_an_empty_mask_is_no_object():
    assert instances(*sure(mask=-1.0), PADDED, RESIZED, ORIGINAL, 0.0) == []


def test_the_best_hundred_pairs_are_looked_at():
    assert len(instances(*sure(MOST + 20), PADDED, RESIZED, ORIGINAL, 0.3)) == MOST
