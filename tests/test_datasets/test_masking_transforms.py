import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS

from mmspec.datasets.transforms import InformationAwareMask, RandomPatchMask


def test_descending_ranks_of_the_crop():
    image = np.repeat(np.arange(4, dtype=np.uint8) * 50, 16)[None].repeat(16, 0)  # 16x64
    assert InformationAwareMask(stride=2)(dict(img=image))["ids_keep"].tolist() == [3, 1]
    ascending = InformationAwareMask(stride=2, order="ascending")
    assert ascending(dict(img=image))["ids_keep"].tolist() == [0, 2]
    three = np.repeat(image[..., None], 3, axis=2)
    assert InformationAwareMask(stride=2)(dict(img=three))["ids_keep"].tolist() == [3, 1]


def test_complementary_masks_are_the_ranks_of_every_phase():
    image = np.repeat(np.arange(4, dtype=np.uint8) * 50, 16)[None].repeat(16, 0)
    kept = InformationAwareMask(stride=2, ranks="all")(dict(img=image))["ids_keep"]
    assert kept.tolist() == [[3, 1], [2, 0]]


def test_packed_into_the_sample():
    pack = TRANSFORMS.build(dict(type="mmpretrain.PackInputs", algorithm_keys=["ids_keep"]))
    image = np.zeros((32, 32), np.uint8)
    packed = pack(InformationAwareMask()(dict(img=image, img_path="a.png")))
    assert packed["inputs"].shape == (1, 32, 32)
    assert packed["data_samples"].ids_keep.tolist() == [0]


def test_a_mirrored_view_of_an_image():
    image = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    expected = InformationAwareMask()(dict(img=image[:, ::-1].copy()))["ids_keep"]
    assert np.array_equal(InformationAwareMask()(dict(img=image[:, ::-1]))["ids_keep"], expected)


def test_random_mask_follows_torchs_generator():
    image = np.random.default_rng(0).integers(0, 255, (224, 224), dtype=np.uint8)
    transform = RandomPatchMask(0.75)
    torch.manual_seed(5)
    first = [transform(dict(img=image))["ids_keep"].tolist() for _ in range(8)]
    torch.manual_seed(5)
    assert first == [transform(dict(img=image))["ids_keep"].tolist() for _ in range(8)]
    assert len({tuple(sorted(keep)) for keep in first}) > 1
    assert {len(set(keep)) for keep in first} == {49}


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="score='projection'"):
        InformationAwareMask(score="projection")
    with pytest.raises(ValueError, match="ranks='every': first, drawn, all"):
        InformationAwareMask(ranks="every")
    with pytest.raises(ValueError, match="30x32"):
        RandomPatchMask()(dict(img=np.zeros((30, 32), np.uint8)))


def test_an_array_that_is_read_only_is_no_warning(recwarn):
    image = np.zeros((32, 32, 1), np.uint8)
    image.setflags(write=False)  # as that of a packed set
    InformationAwareMask()(dict(img=image))
    assert not recwarn.list
