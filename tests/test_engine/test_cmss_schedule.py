from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmspec.engine import CMSSScheduleHook
from mmspec.models.maskers import CMSSMasking


class Model(BaseModel):
    """Tokens of a pair are its data; RGB loses 0.02 more than infrared."""

    def __init__(self, masked: bool = True, names=("loss_infrared", "loss_visible")) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.names = names
        if masked:
            self.masker = CMSSMasking()

    def forward(self, inputs, data_samples=None, mode="loss"):
        self.masker(*inputs.unbind(1))
        loss = self.weight.square()
        losses = (0.1 * loss, 0.1 * loss + 0.02)
        return dict(zip(self.names, losses)) | self.masker.statistics()


def run(work_dir, model, max_epochs=6, resume=False, stop_after=None) -> Runner:
    torch.manual_seed(0)
    data = [dict(inputs=torch.randn(2, 100, 16)) for _ in range(8)]
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=DataLoader(data, batch_size=4),
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0)),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1)),
        custom_hooks=[CMSSScheduleHook()],
        resume=resume,
        default_scope="mmengine",
        experiment_name=f"{work_dir.name}-{resume}-{max_epochs}-{id(model)}",
    )
    runner.train()
    return runner


def test_epochs_of_the_runner_move_the_schedule_and_checkpoints_hold_it(tmp_path):
    model = Model()
    runner = run(tmp_path, model)
    schedule = model.masker.schedule
    assert schedule.keep_shift == pytest.approx(6 * 0.2, abs=1e-4)
    assert schedule.target_shift == pytest.approx(6 * 0.002, abs=1e-6)
    assert schedule.centres[-1] == pytest.approx(model.masker.means.max().item())
    assert "train/cmss_visible" in runner.message_hub.log_scalars
    log = next(tmp_path.glob("*/*.log")).read_text()
    assert "CMSS after epoch 6: targets around" in log and "1 patches more are seen" in log

    for epoch in (2, 6):
        saved = torch.load(tmp_path / f"epoch_{epoch}.pth", weights_only=False)["state_dict"]
        assert saved["masker.keep_shift"].item() == pytest.approx(0.2 * epoch, abs=1e-4)
    resumed = Model()
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_2.pth"))
    run(tmp_path, resumed, resume=True)
    assert resumed.masker.schedule.keep_shift == pytest.approx(6 * 0.2, abs=1e-4)


def test_weights_of_another_run_bring_no_schedule(tmp_path):
    model = Model()
    run(tmp_path / "a", model)
    model.masker.train()
    again = run(tmp_path / "b", model, max_epochs=1)
    assert again.model.masker.schedule.keep_shift == pytest.approx(0.2, abs=1e-4)


def test_a_model_without_cmss_masking_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Model holds 0 CMSSMasking modules, not one"):
        run(tmp_path, Model(masked=False))


def test_losses_of_other_names_are_refused(tmp_path):
    with pytest.raises(KeyError, match="gives no loss_infrared and no loss_visible, only loss"):
        run(tmp_path, Model(names=("loss_a", "loss_b")))


def test_a_run_by_iterations_is_refused():
    runner = SimpleNamespace(train_loop=object(), model=Model())
    with pytest.raises(TypeError, match="needs an EpochBasedTrainLoop, got object"):
        CMSSScheduleHook().before_train(runner)
