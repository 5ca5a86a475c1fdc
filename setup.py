"""Build of mmspec: one pure Python package with its configs and tools beside it, for ``mim``."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent
MIM_CONTENT = ("configs", "tools", "model-index.yml")

# What mmspec itself imports. No mm package: two families give the same modules under different
# distribution names, and who has one of them must not get the other on top (mmspec/stack.py). cv2
# comes with mmcv. torch and torchvision are not pinned: torchvision pins its torch, so pip brings a
# matching pair or keeps the one that is there. requirements/*.txt hold the pins that are tested.
INSTALL_REQUIRES = [
    "torch>=2.1",
    "torchvision>=0.16",
    "numpy",
    "pillow",
    "tifffile",
    "matplotlib",
    "safetensors",
    "tensorboard",
    "tqdm",
]
EXTRAS_REQUIRE = {
    # The maintained stack.
    "onedl": [
        "onedl-mmengine>=0.10.12",
        "onedl-mmcv>=2.3.6",
        "onedl-mmpretrain>=1.3.6",
        "onedl-mmdetection>=3.5.1",
        "onedl-mmsegmentation>=1.4.2",
        "onedl-mim>=0.5.1",
        "pysodmetrics>=1.6",
    ],
    # The last releases of OpenMMLab (2024). mmcv-lite is mmcv without compiled operators: who has
    # the compiled mmcv 2.1.0 installs mmspec without this extra.
    "openmmlab": [
        "mmengine>=0.10.7",
        "mmcv-lite>=2.1.0,<2.2",
        "mmpretrain>=1.2.0",
        "mmdet>=3.3.0",
        "mmsegmentation>=1.2.2",
        "openmim>=0.3.9",
        "pysodmetrics>=1.6",
        "numpy<2",
        "opencv-python<4.12",
        # Imported by mmseg (ftfy, regex), mmengine and openmim (pkg_resources), required by none.
        "ftfy",
        "regex",
        "setuptools<82",
    ],
    "docs": ["mkdocs-material", "mkdocs-same-dir", "mkdocstrings[python]"],
    # Temperatures of FLIR's files, and frames of its CSQ recordings.
    "radiometric": ["flyr", "imagecodecs"],
    # What the tools that prepare data need beyond mmspec itself.
    "tools": ["imagehash", "rich"],
    # tools/export.py, and running what it wrote.
    "export": ["onnx", "onnxruntime"],
    "tests": [
        "pytest",
        "pytest-xdist",
        "ruff",
        "faster-coco-eval",
        "flyr",
        "imagehash",
        "rich",
        "onnx",
        "onnxruntime",
    ],
}


def version() -> str:
    text = (ROOT / "mmspec" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


class BdistWheelWithMim(bdist_wheel):
    """Puts configs, tools and the model index into the wheel, where ``mim`` looks for them.

    ``mmspec/.mim`` is the place all mm packages use. onedl-mim 0.5 takes the folder of the first
    installed file for the package; the list is sorted, so where distribution and module have one
    name, that is the ``.dist-info`` folder. A second copy lies there for it.
    """

    def write_wheelfile(self, wheelfile_base, *args, **kwargs):
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        wheel_root = Path(wheelfile_base).parent
        if wheel_root == Path(self.bdist_dir):  # not so in an editable build: mim uses the clone
            for home in (wheel_root / "mmspec", Path(wheelfile_base)):
                copy_mim_content(home / ".mim")


def copy_mim_content(folder: Path) -> None:
    for name in MIM_CONTENT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


setup(
    name="mmspec",
    version=version(),
    description="Infrared and RGB-thermal foundation models for the OpenMMLab stack",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE", "WEIGHTS.md"],
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["mmspec", "mmspec.*"]),
    package_data={"mmspec.checkpoints": ["weights/*.safetensors"]},
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    cmdclass={"bdist_wheel": BdistWheelWithMim},
    zip_safe=False,
)
