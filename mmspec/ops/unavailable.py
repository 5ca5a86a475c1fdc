"""The error of an operator that has no stand-in."""

from importlib.metadata import packages_distributions, version


def unavailable(operator: str, alternative: str = "") -> NotImplementedError:
    """The error of an operator that needs a compiled mmcv, with the command that installs one."""
    way_out = f"{alternative}, or install" if alternative else "Install"
    return NotImplementedError(
        f"mmcv's operator {operator} is not available: this mmcv has no compiled operators, and "
        f"mmspec has no stand-in for this one. {way_out} a compiled mmcv: {_install_command()}"
    )


def _install_command() -> str:
    """The command for the mmcv distribution at hand (OneDL's or OpenMMLab's)."""
    distributions = packages_distributions().get("mmcv", [])
    if "onedl-mmcv" in distributions:
        name = "onedl-mmcv"
        # Without --no-build-isolation the build does not see torch and leaves the operators out.
        return (
            f"`pip install --no-build-isolation --no-deps --force-reinstall --no-cache-dir "
            f"--no-binary {name} {name}=={version(name)}` (needs a C++ compiler, nvcc for CUDA) "
            f"or one of {name}'s prebuilt wheels for your torch and CUDA"
        )
    if not distributions:
        return "`mim install mmcv`"
    name = distributions[0]
    return f"`pip uninstall -y {name} && mim install mmcv=={version(name)}`"
