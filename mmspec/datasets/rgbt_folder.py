"""Aligned pairs of infrared and visible images without labels, for pre-training."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from mmengine.fileio import join_path
from mmengine.logging import print_log

from mmspec.datasets.image_io import UnreadableImageError
from mmspec.registry import DATASETS
from mmspec.text_files import each_once, read_names

from .files import Fault, index_by_name, named, walk_images, without_suffix
from .infrared_folder import InfraredFolder

_OTHER = {"infrared": "visible", "visible": "infrared"}


@DATASETS.register_module()
class RGBTFolder(InfraredFolder):
    """Every aligned pair below two folders, or those that a list names.

    The images of a pair have the same path below the two folders but for the suffix (RGBT550K:
    ``ir/a/0001.jpg`` and ``rgb/a/0001.png``). An image without its partner is an error that names
    both; ``tools/dataset_converters/prepare_pairs.py`` reports all and writes a list of the
    complete pairs. Sizes are compared when a pair is loaded, as names alone are read at the start.
    Two recordings of one name and as many frames are pairs frame by frame.

    A sample is ``dict(img_path, infrared_path, visible_path, modality='both')`` through
    ``pipeline``, which begins with ``LoadRGBTImageFromFile``; ``img_path`` is the infrared image.

    Args:
        data_root: folder of the corpus.
        infrared, visible: subfolders of ``data_root``, searched with their subfolders.
        ann_file: text file, under ``data_root`` unless its path is absolute. A line is the name of
            a pair (its path below either folder, with or without a suffix), or the infrared and the
            visible image's paths below ``data_root``, with a tab between them, for pairs that carry
            different names; then folders are not searched.
        skip_broken: as in ``InfraredFolder``; a pair of two sizes counts as broken too.
        **options: as in ``InfraredFolder``.

    Raises:
        FileNotFoundError: No folder, no pair, an empty list, or an image without its partner.
        UnreadableImageError: On loading, see ``skip_broken``, and of two recordings whose numbers
            of frames differ.
    """

    def __init__(
        self,
        data_root: str,
        infrared: str = "ir",
        visible: str = "rgb",
        ann_file: str = "",
        **options,
    ) -> None:
        prefix = dict(img_path="", infrared=infrared, visible=visible)
        super().__init__(data_root, prefix, ann_file, **options)

    def find_samples(self) -> Iterator[tuple[str, ...]]:
        pairs, faults = self.match_files()
        if faults:
            raise FileNotFoundError(
                f"{type(self).__name__} in {self.data_root}: {len(faults):,} images or names have"
                f" no partner, {len(pairs):,} pairs are complete."
                " tools/dataset_converters/prepare_pairs.py reports them all and writes a list for"
                f" ann_file{named(faults)}"
            )
        if not pairs:
            raise FileNotFoundError(
                f"{type(self).__name__} in {self.data_root}: no pair, as each recording is broken"
                " or has another number of frames than its partner; the log names them"
            )
        root = self.data_prefix["img_path"].rstrip("/") + "/"
        return (tuple(path.removeprefix(root) for path in pair) for pair in pairs)

    def match_files(self) -> tuple[list[tuple[str, str]], list[Fault]]:
        """Find the infrared and the visible path of complete pairs, and what has no partner.

        Raises:
            FileNotFoundError: No folder, no image in one, or an empty list.
        """
        lines = self._lines()
        if lines and "\t" in lines[0]:
            pairs, faults = self._listed_pairs(lines), []
        else:
            folders = {side: self.data_prefix[side] for side in _OTHER}
            pairs, faults = match_pairs(folders, lines, self.ann_file, self.find)
        pairs = [frames for pair in pairs for frames in self._frames(*pair)]
        print_log(
            f"{len(pairs):,} pairs in {self.data_prefix['infrared']} and"
            f" {self.data_prefix['visible']}{self._left_out}",
            logger="current",
        )
        return pairs, faults

    def _frames(self, infrared: str, visible: str) -> list[tuple[str, str]]:
        """A pair of still images as it is, one of recordings frame by frame."""
        lengths = self.count_frames(infrared), self.count_frames(visible)
        if lengths == (None, None):
            return [(infrared, visible)]
        if lengths[0] == lengths[1]:
            steps = range(0, lengths[0], self.frame_step or 1)
            return [(f"{infrared}#{index}", f"{visible}#{index}") for index in steps]
        if 0 not in lengths:  # one that is broken was told already
            counts = ["a still image" if n is None else f"{n:,} frames" for n in lengths]
            reason = f"{counts[0]}, its visible partner {visible} {counts[1]}: no pair"
            self.leave_out(UnreadableImageError.of(infrared, reason))
        return []

    def _lines(self) -> list[str] | None:
        if not self.ann_file:
            return None
        lines = read_names(self.ann_file, self.backend_args)
        if not lines:
            raise FileNotFoundError(f"{self.ann_file}: an empty list of pairs")
        return lines

    def _listed_pairs(self, lines: list[str]) -> list[tuple[str, str]]:
        lines = each_once(lines, self.ann_file)
        pairs = [line.split("\t") for line in lines]
        if wrong := [line for line, pair in zip(lines, pairs) if len(pair) != 2]:
            raise ValueError(
                f"{self.ann_file}: {len(wrong):,} of {len(lines):,} lines are not two paths with a"
                f" tab between them, the first is {wrong[0]!r}"
            )
        root = self.data_prefix["img_path"]
        return [
            (join_path(root, infrared), join_path(root, visible)) for infrared, visible in pairs
        ]


def match_pairs(
    folders: dict[str, str],
    names: Sequence[str] | None = None,
    listed_in: str = "",
    find: Callable[[str], Iterable[str]] = walk_images,
) -> tuple[list[tuple[str, str]], list[Fault]]:
    """Pair up the images below two folders by their relative paths without suffix.

    Args:
        folders: 'infrared' and 'visible'.
        names: pairs to find, with or without a suffix; by default all, sorted.
        listed_in: file that lists the names.
        find: gives the paths below a folder, by default those of still images.

    Returns:
        (infrared path, visible path) of each complete pair, and what is without a partner; each
        fault names the file that is there and the one that is not.
    """
    found, faults = {}, []
    for side, folder in folders.items():
        found[side], clashes = index_by_name(folder, find(folder))
        faults += clashes
    if names is None:
        names = sorted(set().union(*found.values()))
    else:
        names = each_once(map(without_suffix, names), listed_in)
    pairs = []
    for name in names:
        here = [side for side in folders if name in found[side]]
        absent = {side: f"{join_path(folders[side], name)}.*" for side in folders}
        if len(here) == 2:
            pairs.append((found["infrared"][name], found["visible"][name]))
        elif here:
            other = _OTHER[here[0]]
            faults.append(Fault(found[here[0]][name], f"no {other} image {absent[other]}"))
        else:
            faults.append(Fault(f"{listed_in}: {name}", f"no {' and no '.join(absent.values())}"))
    return pairs, faults
