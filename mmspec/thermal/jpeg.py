"""The segments of a JPEG file that stand before its picture."""

from __future__ import annotations

from collections.abc import Iterator


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the scan; none of a file that is no JPEG."""
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        yield data[place + 1], data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)
