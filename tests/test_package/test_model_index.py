"""What ``mim search`` and ``mim download`` read: the model index and its metafiles."""

from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parents[2]


def test_files_named_in_the_index_exist():
    imports = yaml.safe_load((REPO / "model-index.yml").read_text())["Import"]
    assert sorted(imports) == sorted(
        str(path.relative_to(REPO)) for path in REPO.glob("configs/*/metafile.yml")
    )
    for name in imports:
        metafile = yaml.safe_load((REPO / name).read_text())
        collections = {collection["Name"] for collection in metafile["Collections"]}
        for model in metafile["Models"]:
            assert (REPO / model["Config"]).is_file(), f"{name}: {model['Config']}"
            assert model["In Collection"] in collections, f"{name}: {model['Name']}"
