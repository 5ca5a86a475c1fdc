"""``python -m mmspec COMMAND``: the files of ``tools/``, wherever they were installed."""

import runpy
import sys

from mmspec.installed import tools_folder

COMMANDS = {
    "train": "train.py",
    "test": "test.py",
    "predict": "predict.py",
    "export": "export.py",
    "probe": "probe.py",
    "check": "dataset_converters/check_dataset.py",
}


def main() -> None:
    usage = f"usage: python -m mmspec {{{','.join(COMMANDS)}}} ...\n\n{__doc__}"
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("-h", "--help"):
        print(f"{usage}\nWhat a command takes: python -m mmspec COMMAND --help")
        return
    if name not in COMMANDS:
        sys.exit(f"{usage}\nerror: no command {name!r}" if name else usage)
    tool = tools_folder() / COMMANDS[name]
    if not tool.is_file():
        sys.exit(f"python -m mmspec {name}: no {tool}; install mmspec from a wheel or a clone")
    # As if the file were run itself: it finds its neighbours, and names itself in messages.
    sys.path[0] = str(tool.parent)
    sys.argv = [str(tool), *sys.argv[2:]]
    runpy.run_path(str(tool), run_name="__main__")


if __name__ == "__main__":
    main()
