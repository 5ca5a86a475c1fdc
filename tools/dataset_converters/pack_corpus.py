#!/usr/bin/env python
"""Pack a pre-training corpus into one memory-mapped set of files."""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from corpus import relative_path, unlistable
from packing import Packed, Packer, packed
from rich.progress import Progress, track

from mmspec.datasets.image_io import remark_kind
from mmspec.datasets.infrared_folder import InfraredFolder
from mmspec.datasets.packed import BANDS, FORMAT, RECORD, VERSION, PackedSet
from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.explain import KeyValueAction, explained
from mmspec.thermal.scaling import Scaling

DESCRIPTION = """\
Pack folders of images and recordings, a list of them, or pairs, for PackedInfrared or PackedRGBT:

  pack_corpus.py data/inf30 --out data/inf30_packed --workers 8
  pack_corpus.py data/raw --list inf30.txt --out data/inf30_packed   # of prepare_corpus.py
  pack_corpus.py data/rgbt550k --infrared ir --visible rgb --out data/rgbt550k_packed
  pack_corpus.py --verify data/inf30_packed

Images whose short side is longer than --short-side are made smaller (antialiased bicubic), none
larger. Values keep the depth that they have: uint8, uint16, and float32 of other types, so that
infrared_scale of a config acts as on files. The same command goes on after a stop: shards that are
complete are kept, the last one is begun anew.
"""


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="*", metavar="SRC", help="folder of images, or of pairs")
    parser.add_argument("--out", type=Path, help="folder of the set, new or of a packing to go on")
    parser.add_argument("--verify", type=Path, metavar="SET", help="recompute the hashes of a set")
    parser.add_argument("--list", help="images of SRC, or pairs, as ann_file of the data set")
    parser.add_argument("--infrared", help="pairs: subfolder of SRC")
    parser.add_argument("--visible", help="pairs: subfolder of SRC")
    parser.add_argument(
        "--frame-step", type=int, help="sample every n-th frame of recordings; default: each"
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=256,
        metavar="N",
        help="longest short side, pixels, default %(default)s; 0 keeps every size",
    )
    parser.add_argument(
        "--depth",
        choices=("source", "8"),
        default="source",
        help="8: gray levels as --infrared-scale makes them, half the space of 16 bits; default: as"
        " the files have it",
    )
    parser.add_argument(
        "--infrared-scale",
        nargs="+",
        action=KeyValueAction,
        default={},
        metavar="KEY=VALUE",
        help="of a config; with the files' own depth only unit and palette, the others act when"
        " the set is read",
    )
    parser.add_argument(
        "--min-side", type=int, default=20, help="an image with both sides shorter is broken"
    )
    parser.add_argument(
        "--skip-broken", action="store_true", help="leave out what cannot be used, and name it"
    )
    parser.add_argument("--shard-gib", type=float, default=4, help="default %(default)s")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    parser.add_argument("--dry-run", action="store_true", help="estimate the space, write nothing")
    args = parser.parse_args()
    if args.verify is None:
        check(parser, args)
    elif args.sources or args.out:
        parser.error("--verify takes the set alone")
    return parser, args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if not args.sources or args.out is None:
        parser.error("give the sources and --out, or --verify")
    if (args.infrared is None) != (args.visible is None):
        parser.error("pairs need --infrared and --visible")
    args.kind = "pairs" if args.infrared is not None else "infrared"
    if len(args.sources) > 1 and (args.list or args.kind == "pairs"):
        parser.error("a list, or pairs, are of one source")
    for source in args.sources:
        header = Path(source, "header.json")  # a file that others may have, too
        if header.is_file() and FORMAT in header.read_text(errors="replace"):
            parser.error(
                f"{source} is a packed set already: a config reads it by PackedInfrared or"
                " PackedRGBT; to pack with other options, give the folder it was made of"
            )
    if 0 < args.short_side < args.min_side or args.short_side < 0:
        parser.error(f"--short-side {args.short_side}: 0, or at least {args.min_side}")
    if args.workers < 1 or args.shard_gib <= 0:
        parser.error("--workers and --shard-gib must be positive")
    try:
        args.scaling = Scaling(**args.infrared_scale)
    except (TypeError, ValueError) as error:
        parser.error(f"--infrared-scale: {error}")
    if later := args.depth == "source" and args.scaling.setting().keys() - {"unit", "palette"}:
        parser.error(
            f"--infrared-scale {', '.join(sorted(later))}: acts when the set is read, give it to"
            " the config; or pack with --depth 8"
        )
    if args.scaling.float32:
        parser.error("--infrared-scale float32=True: fractions need --depth source")


def find(args: argparse.Namespace) -> tuple[list[tuple[str, ...]], str]:
    """Paths of each sample, and the folder that names begin below.

    Raises:
        FileNotFoundError: see the data sets.
    """
    options = dict(ann_file=os.path.abspath(args.list) if args.list else "", lazy_init=True)
    options.update(frame_step=args.frame_step, skip_broken=args.skip_broken)
    roots = [os.path.abspath(source) for source in args.sources]
    if args.kind == "pairs":
        pairs = RGBTFolder(roots[0], args.infrared, args.visible, **options).load_data_list()
        return [(pair["infrared_path"], pair["visible_path"]) for pair in pairs], roots[0]
    found = [
        sample["img_path"]
        for root in roots
        for sample in InfraredFolder(root, **options).load_data_list()
    ]
    return [(path,) for path in dict.fromkeys(found)], os.path.commonpath(roots)


def space(packer: Packer, args: argparse.Namespace) -> float:
    """Bytes that all samples are likely to take, by some that are spread over them."""
    spread = list(range(len(packer)))[:: max(1, len(packer) // 64)]
    sizes = [sum(x.nbytes for x in one.arrays) for one in packed(packer, spread, args.workers)]
    sizes = [size for size in sizes if size]
    return float(np.mean(sizes)) * len(packer) if sizes else 0.0


class Shards:
    """The shards of a packing that may have been stopped.

    A shard is written as ``shard.part`` and moved; ``shard-N.npz``, its records and what is to be
    told of it, follows, and means that it is complete.
    """

    def __init__(self, folder: Path, size: float) -> None:
        self.folder, self.size = folder, size
        self.told: list[dict] = []
        self.records: list[np.ndarray] = []
        while (state := self.state(len(self.told))).is_file():
            with np.load(state) as stored:
                self.records.append(stored["records"])
                self.told.append(json.loads(str(stored["told"])))
        self.begin()

    def state(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.npz"

    @property
    def taken(self) -> int:
        """Samples that complete shards hold or leave out."""
        return self.told[-1]["taken"] if self.told else 0

    def begin(self) -> None:
        self.rows, self.faults, self.remarks = [], [], {}
        self.bytes, self.digest = 0, hashlib.sha256()
        self.part().unlink(missing_ok=True)

    def add(self, number: int, name: str, one: Packed) -> None:
        for remark in one.remarks:
            self.remarks.setdefault(remark_kind(remark), [0, name])[0] += 1
        if one.fault:
            self.faults.append(one.fault)
        else:
            height, width = one.arrays[0].shape
            dtype = one.arrays[0].dtype.newbyteorder("<").str
            # 'name' is the number of the sample until names are written.
            place = (self.bytes, number, len(self.told), height, width, *one.source_size)
            self.rows.append((*place, dtype, one.source_dtype, one.hash))
            with open(self.part(), "ab") as file:
                for array in one.arrays:
                    content = np.ascontiguousarray(array).data
                    self.digest.update(content)
                    self.bytes += file.write(content)
        if self.bytes >= self.size:
            self.seal(number + 1)

    def part(self) -> Path:
        return self.folder / "shard.part"

    def seal(self, taken: int) -> None:
        if not self.rows:  # nothing but broken images behind the last shard
            if self.told:
                self.told[-1]["faults"] += self.faults
            return
        path, records = self.folder / f"shard-{len(self.told):05d}.bin", np.array(self.rows, RECORD)
        with open(self.part(), "ab") as file:
            os.fsync(file.fileno())
        self.part().rename(path)
        told = dict(file=path.name, bytes=self.bytes, images=len(records), taken=taken)
        told.update(sha256=self.digest.hexdigest(), faults=self.faults, remarks=self.remarks)
        written = self.folder / "state.part"
        with open(written, "wb") as file:
            np.savez(file, records=records, told=np.array(json.dumps(told)))
            file.flush()
            os.fsync(file.fileno())
        written.rename(self.state(len(self.told)))
        self.told.append(told)
        self.records.append(records)
        self.begin()


def finish(args: argparse.Namespace, shards: Shards, names: list[str], source: str) -> dict:
    """Write index, names and header; the set can be read from then on."""
    index = np.concatenate(shards.records)
    kept = [names[number].encode() + b"\n" for number in index["name"]]
    index["name"] = np.cumsum([0, *map(len, kept[:-1])])
    np.save(args.out / "index.npy", index)
    (args.out / "names.txt").write_bytes(b"".join(kept))
    remarks: dict[str, list] = {}
    for told in shards.told:
        for kind, (count, first) in told["remarks"].items():
            remarks.setdefault(kind, [0, first])[0] += count
    counts = zip(*np.unique(index["dtype"], return_counts=True))
    header = dict(
        format=FORMAT, version=VERSION, kind=args.kind, bands=BANDS[args.kind], images=len(index),
        short_side=args.short_side, depth=args.depth, infrared_scale=args.scaling.setting(),
        dtypes={np.dtype(dtype.decode()).name: int(count) for dtype, count in counts},
        source=source, folders=dict(infrared=args.infrared, visible=args.visible),
        left_out=[fault for told in shards.told for fault in told["faults"]], remarks=remarks,
    )  # fmt: skip
    for key, name in dict(index="index.npy", names="names.txt").items():
        path = args.out / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        header[key] = dict(file=name, bytes=path.stat().st_size, sha256=digest)
    header["shards"] = [
        {key: told[key] for key in ("file", "bytes", "images", "sha256")} for told in shards.told
    ]
    part = args.out / "header.part"
    part.write_text(json.dumps(header, indent=1), encoding="utf-8")
    part.rename(args.out / "header.json")
    for number in range(len(shards.told)):
        shards.state(number).unlink()
    (args.out / "packing.json").unlink()
    return header


def settle(args: argparse.Namespace, names: list[str], source: str) -> None:
    """Note in OUT what is packed, or compare it with what a stopped packing noted."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    plan = dict(version=VERSION, kind=args.kind, source=source, samples=len(names), names=digest)
    plan.update(short_side=args.short_side, depth=args.depth, shard_gib=args.shard_gib)
    plan.update(infrared_scale=json.loads(json.dumps(args.scaling.setting())))
    plan.update(min_side=args.min_side)
    path = args.out / "packing.json"
    if not path.is_file() and args.out.is_dir() and any(args.out.iterdir()):
        whole = (args.out / "header.json").is_file()
        sys.exit(f"error: {args.out} {'is a packed set' if whole else 'is not empty'}; give a new"
                 " folder")  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    args.lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - until the process ends
    try:
        fcntl.lockf(args.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"error: another process packs to {args.out}: wait for it, or give a new folder")
    args.lock.seek(0)
    if not (noted := args.lock.read()):
        args.lock.write(json.dumps(plan, indent=1))
        args.lock.flush()
        return
    noted = json.loads(noted)
    if other := [key for key in plan if noted.get(key) != plan[key]]:
        sys.exit(
            f"error: {args.out} holds a packing of other {', '.join(other)} that was stopped:"
            " give its command to go on, or remove the folder"
        )


def pack(args: argparse.Namespace) -> None:
    samples, source = find(args)
    names = ["\t".join(relative_path(path, source) for path in sample) for sample in samples]
    tabs = len(samples[0]) - 1
    if unfit := [name for name in names if unlistable(name) or name.count("\t") != tabs]:
        sys.exit(f"error: a list cannot hold the name {unfit[0]!r}; rename it")
    packer = Packer(samples, args.scaling, args.depth, args.short_side, args.min_side)
    need = space(packer, args)
    there = next(path for path in (args.out.absolute(), *args.out.absolute().parents)
                 if path.exists())  # fmt: skip
    if not there.is_dir():
        sys.exit(f"error: {there} is a file: give --out a new folder")
    free = shutil.disk_usage(there).free
    print(f"{len(names):,} {'pairs' if tabs else 'images'}: about {need / 2**30:.2f} GiB;"
          f" {free / 2**30:.2f} GiB are free at {there}")  # fmt: skip
    if args.dry_run:
        return
    settle(args, names, source)
    shards = Shards(args.out, args.shard_gib * 2**30)
    left = range(shards.taken, len(names))
    if need * len(left) / len(names) > free:
        sys.exit("error: too little space: another disk, a smaller --short-side, or --depth 8")
    if shards.told:
        print(f"{len(shards.told)} shards are complete, {len(left):,} images are left")
    found = track(packed(packer, left, args.workers), "Packing", len(left))
    for number, one in zip(left, found, strict=True):
        if one.fault and not args.skip_broken:
            sys.exit(
                f"error: {one.fault}. Replace the file, or have such files left out and counted by"
                " --skip-broken; the same command goes on. check_dataset.py names all of them"
            )
        shards.add(number, names[number], one)
    shards.seal(len(names))
    if not shards.told:
        sys.exit(f"error: none of the {len(names):,} can be used, the last: {shards.faults[-1]}")
    report(args, finish(args, shards, names, source))


def report(args: argparse.Namespace, header: dict) -> None:
    for fault in header["left_out"][:10]:
        print(f"left out: {fault}")
    if header["left_out"]:
        print(f"left out: {len(header['left_out']):,}, all named in header.json")
    for remark, (count, first) in header["remarks"].items():
        print(f"{count:,} x, first {first}: {remark}")
    types = ", ".join(f"{count:,} {name}" for name, count in header["dtypes"].items())
    size = sum(shard["bytes"] for shard in header["shards"]) / 2**30
    print(f"packed: {types} in {len(header['shards'])} shards, {size:.2f} GiB")
    reader = {"infrared": "PackedInfrared", "pairs": "PackedRGBT"}[args.kind]
    print(f"use it: dataset=dict(type='mmspec.{reader}', data_root={str(args.out)!r})")


def verify(folder: Path) -> None:
    packed_set = PackedSet(folder)
    packed_set.check_shards()
    header, faults = packed_set.header, []
    files = [header["index"], header["names"], *header["shards"]]
    with Progress() as progress:
        task = progress.add_task("Verifying", total=sum(file["bytes"] for file in files))
        for file in files:
            faults += packed_set.faults(file)
            progress.advance(task, file["bytes"])
    if faults:
        sys.exit("\n".join(["error: the set is damaged", *faults]))
    kinds = Counter(Path(file["file"]).suffix for file in files)
    print(f"{folder}: {len(packed_set):,} images in {kinds['.bin']} shards are as they were packed")


def main() -> None:
    parser, args = parse_args()
    with explained(parser):
        verify(args.verify) if args.verify else pack(args)


if __name__ == "__main__":
    main()
