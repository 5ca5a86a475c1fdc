"""Say what is wrong with a data set, faults of one kind together."""

import re
from collections.abc import Iterable, Iterator

from mmspec.datasets.files import Fault

SHOWN = 5  # of each kind
#: What differs between faults of one kind: the entry's image, paths, quoted text, lists, numbers.
_DETAILS = re.compile(
    r"""^[^:]*\.(?:png|jpe?g|tiff?|bmp)(?=:\ ) | \S*[/\\]\S* | b?'[^']*' | b?"[^"]*"
    | \[[^\]]*\] | -?\d[\d,.]*""",
    re.VERBOSE | re.IGNORECASE,
)


def fault_lines(faults: Iterable[Fault], show_all: bool) -> Iterator[str]:
    """Lines that name the faults, ``SHOWN`` of each kind and how many there are beside.

    Args:
        faults: of a data set.
        show_all: name each one.
    """
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(_DETAILS.sub("#", fault.reason), []).append(fault)
    for found in kinds.values():
        # To say that there is one more takes a line as well.
        shown = found if show_all or len(found) == SHOWN + 1 else found[:SHOWN]
        for fault in shown:
            yield f"fault: {fault.path}: {fault.reason}"
        if more := len(found) - len(shown):
            yield f"fault: {more:,} more of this kind; --all names them"
