import pytest
import torch
from mmengine.config import Config
from mmengine.utils import digit_version
from mmpretrain.models import VisionTransformer
from torch import nn
from toy_run import toy_run

from mmspec.engine import CompileHook, compile_parts
from mmspec.engine.launch import compile_by_hook
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import CMSSMasking, UniformMasker
from mmspec.models.necks import DualModalityDecoder, InfMAEDecoder
from mmspec.models.selfsup import InfMAE, MSpecGene

VIT = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32)
CONVVIT = dict(embed_dims=(8, 12, 16), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2))
one_graph = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version("2.6"),
    reason="earlier compilers break at frozen data classes and at mmengine's decorators",
)


def vit() -> MaskedViT:
    return MaskedViT(VIT, img_size=64, drop_path_rate=0.1)


def convvit() -> ConvViT:
    return ConvViT(CONVVIT, pretraining=True, drop_path_rate=0.1)


class Graphs:
    """A backend of torch.compile that runs graphs as they are and counts them."""

    def __init__(self) -> None:
        torch._dynamo.reset()
        self.sizes = []

    def __call__(self, graph, inputs):
        self.sizes.append(len(graph.graph.nodes))
        return graph.forward


def gradients(model: nn.Module, **batch) -> list[torch.Tensor]:
    torch.manual_seed(1)
    model.zero_grad()
    sum(loss for name, loss in model(**batch, mode="loss").items() if "loss" in name).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def infmae(encoder) -> tuple[InfMAE, dict]:
    neck = InfMAEDecoder(in_dims=16, dims=8, depth=1, num_heads=2)
    model = InfMAE(encoder(), neck, ReconstructionHead(), UniformMasker())
    return model, dict(inputs=torch.randn(2, 3, 64, 64))


def mspecgene(encoder) -> tuple[MSpecGene, dict]:
    neck = DualModalityDecoder(in_dims=16, dims=8, depth=1, num_heads=2)
    model = MSpecGene(encoder(), neck, ReconstructionHead(norm_pix=True), CMSSMasking(0.75))
    return model, dict(inputs=torch.randn(2, 6, 64, 64))


@one_graph
@pytest.mark.parametrize("encoder", [vit, convvit])
@pytest.mark.parametrize("build", [infmae, mspecgene])
def test_all_behind_the_mask_is_one_graph_of_the_same_gradients(build, encoder):
    torch.manual_seed(0)
    model, batch = build(encoder)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected, graphs = gradients(model, **batch), Graphs()
    model.load_state_dict(state)
    assert compile_parts(model, backend=graphs, fullgraph=True) == ["loss_of"]
    found = gradients(model, **batch)
    assert list(model.state_dict()) == list(state)
    assert len(graphs.sizes) == 1
    assert all(map(torch.allclose, found, expected))


@one_graph
def test_without_numbers_of_numpy_m_specgene_is_one_graph_with_its_masker():
    model, batch = mspecgene(vit)
    compile_parts(model, parts=[])
    graphs = Graphs()
    torch.compile(model.loss, backend=graphs, fullgraph=True)(**batch)
    assert len(graphs.sizes) == 1


def test_drop_probabilities_of_numpy_are_what_breaks_the_graph():
    """If mmpretrain's become Python's, ``compile_parts`` may leave them alone."""
    encoder, images = (
        VisionTransformer(VIT, img_size=64, drop_path_rate=0.1),
        torch.randn(1, 3, 64, 64),
    )
    torch._dynamo.reset()
    assert torch._dynamo.explain(encoder)(images).graph_break_count > 0


class Segmentor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = vit()
        self.decode_head = nn.Conv2d(16, 2, 1)
        self.auxiliary_head = nn.ModuleList([nn.Conv2d(16, 2, 1)])

    def forward(self, images):
        return self.decode_head.forward(self.backbone(images)[-1])


@one_graph
def test_backbone_and_head_of_other_models_are_compiled():
    torch.manual_seed(0)
    model, images, graphs = Segmentor().eval(), torch.randn(1, 3, 64, 64), Graphs()
    expected = model(images)
    assert compile_parts(model, backend=graphs) == ["backbone", "decode_head.forward"]
    assert torch.allclose(model(images), expected)
    assert len(graphs.sizes) == 2


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="neck"):
        compile_parts(Segmentor(), ["neck"])


def test_a_run_compiles_after_the_batches_that_are_looked_at(tmp_path):
    graphs = Graphs()
    hooks = [CompileHook(["forward"], backend=graphs)]
    runner = toy_run(tmp_path, schedule=[], iters=5, custom_hooks=hooks)
    seen, original = [], runner.train_loop.run_iter
    runner.train_loop.run_iter = lambda *a: (original(*a), seen.append(len(graphs.sizes)))
    runner.train()
    assert seen == [0, 0, 0, 1, 1]
    assert sorted(runner.model.state_dict()) == ["line.bias", "line.weight"]


@pytest.mark.parametrize(
    ("value", "options"), [(True, {}), (dict(mode="reduce-overhead"), dict(mode="reduce-overhead"))]
)
@pytest.mark.parametrize("others", [[dict(type="other")], None])
def test_compile_of_a_config_is_done_by_the_hook(value, options, others):
    cfg = Config(dict(compile=value, custom_hooks=others))
    compile_by_hook(cfg)
    assert cfg.custom_hooks == [*(others or []), dict(type="mmspec.CompileHook", **options)]
    assert "compile" not in cfg


def test_without_compile_nothing_is_added():
    cfg = Config(dict(compile=False))
    compile_by_hook(cfg)
    assert cfg.to_dict() == {}
