"""Which image a name means."""

import pytest

from mmspec.datasets.files import find_by_end
from mmspec.thermal.errors import FileError

PATHS = ["a/1.png", "a/2.png", "b/2.png", "2.png", "b/a/1.tif", "c.d/3"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/1", "a/1.png"),  # equal, though b/a/1 ends in it
        ("2.jpg", "2.png"),
        ("d/3", None),  # folders count whole
        ("3", "c.d/3"),
        ("test/b/2.bmp", "b/2.png"),  # the longest, not 2
        ("test/4", None),
    ],
)
def test_a_name_means_one_path(name, path):
    found = {name: path} if path else {}
    assert find_by_end([name], PATHS, "list.txt", longer=True) == found
    # A name of another folder means no path, unless it may be longer.
    assert find_by_end([name], PATHS, "list.txt") == (found if name != "test/b/2.bmp" else {})


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("1", "a/1.png", "b/a/1.tif"), ("x/c", "c.png", "c.jpg")],
)
def test_a_name_of_two_paths_is_an_error(name, first, second):
    with pytest.raises(FileError) as caught:
        find_by_end([name], [*PATHS, "c.png", "c.jpg"], "list.txt", longer=True)
    message = f"list.txt: {name} may be {first} or {second}; write more of its path"
    assert str(caught.value) == message
