"""A prediction is what the metrics of a test see, to the bit, for every task."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from PIL import Image
from prediction_cases import CASES, predictor_of, saved

from mmspec.engine.launch import build_runner

pytest.importorskip("mmdet.models")
pytest.importorskip("mmseg.models")

FOUND = ("pred_", "seg_logits", "reconstruction", "patch_mask", "infrared_points")
FOUND += ("visible_points", "scores", "homography")


class Seen(BaseMetric):
    """Keeps what a metric is handed."""

    def process(self, data_batch, data_samples):
        self.kept = [*getattr(self, "kept", []), *zip(data_samples, data_batch["inputs"])]
        self.results.append(0)

    def compute_metrics(self, results):
        return {}


class Seeds(Hook):
    """Masks that a model draws are those of the prediction."""

    def before_test_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(batch_idx)


def labelled_pairs(data_root: Path, folder: Path) -> None:
    """Pairs of MSRS with labels that nothing depends on."""
    for side, name in (("T", "ir"), ("RGB", "vi")):
        (folder / side).mkdir()
        for path in sorted((data_root / f"msrs_det/MSRS/test/{name}").iterdir())[:2]:
            Image.open(path).resize((160, 128)).save(folder / side / path.name)
    (folder / "GT").mkdir()
    for path in (folder / "T").iterdir():
        Image.fromarray(np.zeros((128, 160), np.uint8)).save(folder / "GT" / path.name)


def of_real_images(cfg, name: str, data_root: Path, folder: Path) -> None:
    """The config's test set made one of a few real images."""
    dataset = cfg.test_dataloader.dataset
    if name in ("saliency", "RGB-thermal segmentation"):
        labelled_pairs(data_root, folder)
        count = cfg.model.decode_head.num_classes
        classes = dict(classes=("background", *(f"class {i}" for i in range(1, count))))
        dataset = dict(
            type="mmspec.SaliencyDataset" if name == "saliency" else "mmspec.InfraredSegDataset",
            data_root=str(folder),
            data_prefix=dict(infrared_path="T", visible_path="RGB", seg_map_path="GT"),
            ann_file="",
            modality="both",
            test_mode=True,
            metainfo=None if name == "saliency" else classes,
            pipeline=[
                dict(type="mmspec.LoadRGBTImageFromFile"),
                dict(type="mmspec.LoadSegmentationLabels"),
                *dataset.pipeline,
            ],
        )
    elif name == "detection with masks":
        dataset["data_root"] = str(data_root / "hit_uav")
    dataset["indices"] = 2
    cfg.test_dataloader.dataset = dataset


@pytest.mark.parametrize("name", [name for name in CASES if not CASES[name].task])
def test_results_are_those_of_the_test(name, data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("MMSPEC_DATA", str(data_root.resolve()))
    case = CASES[name]
    cfg, checkpoint = saved(case, tmp_path)
    of_real_images(cfg, name, data_root, tmp_path)
    cfg.test_dataloader.update(num_workers=0, batch_size=1)
    cfg.work_dir, cfg.launcher = str(tmp_path / "work"), "none"
    cfg.load_from, cfg.val_dataloader, cfg.val_cfg, cfg.val_evaluator = str(checkpoint), *[None] * 3
    cfg.default_hooks.pop("visualization", None)
    cfg.test_cfg = cfg.test_cfg or dict()
    runner = build_runner(cfg)
    runner.register_hook(Seeds())
    dataset, seen = runner.test_dataloader.dataset, Seen()
    runner.test_evaluator.metrics[:] = [seen]
    runner.test()
    kept = seen.kept

    inputs = [dataset.get_data_info(i) for i in range(len(dataset))]
    inputs = [
        (info["infrared_path"], info["visible_path"]) if case.pairs else info["img_path"]
        for info in inputs
    ]
    if name == "matching":
        # The test sees the infrared image through a homography: so does the prediction.
        inputs = []
        for i, (_, image) in enumerate(kept):
            planes = image.permute(1, 2, 0).numpy()
            files = tmp_path / f"{i}_infrared.png", tmp_path / f"{i}_visible.png"
            Image.fromarray(planes[..., 0]).save(files[0])
            Image.fromarray(planes[..., -3:]).save(files[1])
            inputs.append(tuple(map(str, files)))

    predictor = predictor_of(case, tmp_path)
    predictions = predictor.predict(inputs)
    assert len(kept) == 2
    for i, (sample, image) in enumerate(kept):
        torch.manual_seed(i)
        prediction = next(predictions)
        assert torch.equal(prediction.image, image)
        same(prediction.sample.to_dict(), {k: v for k, v in sample.items() if k.startswith(FOUND)})
    assert next(predictions, None) is None


def same(ours, theirs) -> None:
    if isinstance(theirs, dict):
        assert theirs
        for key, value in theirs.items():
            same(ours[key], value)
    elif isinstance(theirs, torch.Tensor | np.ndarray):
        assert (
            theirs.dtype == ours.dtype and (torch.as_tensor(theirs) == torch.as_tensor(ours)).all()
        )
    else:
        assert theirs == ours
