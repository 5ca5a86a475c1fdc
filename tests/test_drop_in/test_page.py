"""docs/drop_in.md: what the tool writes into upstream configs, shown by what the suite runs."""

import re
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "analysis_tools"))
import drop_in_lines
from drop_in import config_folder
from drop_in_lines import KINDS
from test_upstream_configs import CONFIGS

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "drop_in.md").read_text(encoding="utf-8")
# Whole configs: by the upstream config that they change.
EXAMPLES = {
    re.search(r"_base_ = '(.*)'", block)[1]: block
    for block in re.findall(r"```python\n(_base_ = '.*?)```", PAGE, flags=re.DOTALL)
}


def table() -> dict[tuple[str, str], list[str]]:
    """The page's row of each kind: what to write, RGBTBackbone, MaskedViT."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| mm")]
    return {tuple(row[0].split(": ", 1)): row[1:] for row in rows if ": " in row[0]}


@pytest.fixture(autouse=True)
def base(monkeypatch):
    """The page speaks of the released encoder, the tool tries a tiny one."""
    monkeypatch.setattr(drop_in_lines, "ARCH", "base")
    monkeypatch.setattr(drop_in_lines, "WIDTHS", (256, 384, 768, 768))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_what_the_tool_writes(example):
    framework, name = example.split("::")
    pytest.importorskip(framework)
    original = Config.fromfile(config_folder(framework) / name, import_custom_modules=False)
    lines = drop_in_lines.lines_for(framework, original.model.to_dict())
    assert EXAMPLES[example] == drop_in_lines.as_config(example, lines.changes)


def test_the_suite_runs_the_examples():
    tried = {f"{framework}::{name}" for framework, _, names in CONFIGS for name in names}
    # mmdet's own SSDHead fails to predict.
    assert tried >= set(EXAMPLES) - {"mmdet::pascal_voc/ssd300_voc0712.py"}
    assert len(EXAMPLES) >= len(KINDS)


def test_each_kind_has_its_row():
    told = {key: row[0] for key, row in table().items()}
    assert told == {(kind.framework, kind.name): kind.what for kind in KINDS}


@pytest.mark.parametrize("reason", [reason for _, reason in drop_in_lines._NOT_MAPS])
def test_what_takes_no_maps_is_told(reason):
    assert reason in " ".join(PAGE.split())
