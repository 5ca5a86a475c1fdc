import json

import torch


def test_two_processes_train_and_agree(tiny_config, trained, tmp_path):
    """Two ranks of 2 images see the samples of one process of 4 and end at the same weights."""
    # Drop path draws by rank; everything else of a sample depends on its index alone. bfloat16
    # rounds the sums of a batch and of its halves apart.
    exact = ("model.backbone.drop_path_rate=0", "optim_wrapper.type=OptimWrapper")
    options = ("--cfg-options", *exact, "train_cfg.max_epochs=2")
    half = "train_dataloader.batch_size=2"
    assert "gloo" in trained(tiny_config, tmp_path / "two", *options, half, count=2)
    trained(tiny_config, tmp_path / "one", *options)

    two, one = (
        torch.load(tmp_path / name / "epoch_2.pth", weights_only=False)["state_dict"]
        for name in ("two", "one")
    )
    for name, value in one.items():
        other = two[name]
        if name.endswith("qkv.bias"):
            # Softmax takes no notice of the keys' biases: their gradient is rounding, which Adam
            # blows up.
            value, other = (torch.cat([x.chunk(3)[0], x.chunk(3)[2]]) for x in (value, other))
        assert torch.allclose(other, value, atol=2e-5), name
    entries = [
        json.loads(line)
        for path in (tmp_path / "two").glob("*/vis_data/scalars.json")
        for line in path.read_text().splitlines()
    ]
    assert len(entries) == 12 and all(torch.tensor(e["loss"]).isfinite() for e in entries)


def test_ranks_draw_apart_and_resume_alike(iteration_config, trained, recorded, tmp_path):
    def run(work_dir, *arguments, count=2, options=()):
        options = ("model_wrapper_cfg.find_unused_parameters=True", *options)
        trained(iteration_config, work_dir, *arguments, "--cfg-options", *options, count=count)
        return [recorded(work_dir, rank) for rank in range(count)]

    two = run(tmp_path / "two")
    draws = {entry["draw"] for entries in two for entry in entries.values()}
    assert len(draws) == 18
    # Together the ranks see what one process sees.
    (one,) = run(tmp_path / "one", count=1, options=["train_dataloader.batch_size=4"])
    for step, entry in one.items():
        samples = [sample for entries in two for sample in entries[step]["samples"]]
        assert sorted(samples) == sorted(entry["samples"])

    (tmp_path / "two" / "iter_9.pth").unlink()
    (tmp_path / "two" / "last_checkpoint").write_text(str(tmp_path / "two" / "iter_6.pth"))
    for rank in range(2):
        (tmp_path / "two" / f"rank{rank}.jsonl").unlink()
    resumed = run(tmp_path / "two", "--resume")
    for entries, expected in zip(resumed, two):
        assert entries == {step: expected[step] for step in range(6, 9)}
