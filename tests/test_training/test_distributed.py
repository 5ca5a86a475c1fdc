import json

import torch


def test_two_processes_train_and_agree(tiny_config, train, tmp_path):
    """Two ranks of 2 images see the samples of one process of 4 and end at the same weights."""
    # Drop path draws by rank; everything else of a sample depends on its index alone.
    options = ("--cfg-options", "model.backbone.drop_path_rate=0", "train_cfg.max_epochs=2")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    run = train(
        tiny_config, tmp_path / "two", "--launcher", "pytorch", *options,
        "train_dataloader.batch_size=2", prefix=torchrun,
    )  # fmt: skip
    output, _ = run.communicate(timeout=180)
    assert run.returncode == 0, output
    assert "gloo" in output
    single = train(tiny_config, tmp_path / "one", *options)
    output, _ = single.communicate(timeout=120)
    assert single.returncode == 0, output

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
