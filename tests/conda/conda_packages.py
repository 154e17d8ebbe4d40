"""Packages that conda can install, written from files: metadata, the files below a prefix, and what they depend on."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

SUBDIR = "linux-64"
BLOCK = 1 << 17  # bytes: the most that a block of Zstandard holds


@dataclass
class Package:
    """Name, version, conditions on other packages, and files: place below the prefix to their content or source."""

    name: str
    version: str
    depends: list[str] = field(default_factory=list)
    files: dict[str, Path | bytes] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-0"


class StoredZstandard(io.RawIOBase):
    """A Zstandard frame (RFC 8878) of raw blocks: nothing is compressed, since the channel lives for minutes."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.waiting = stream, bytearray()
        window = (17 - 10) << 3  # 2^17 bytes
        stream.write(bytes([0x28, 0xB5, 0x2F, 0xFD, 0, window]))

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.waiting += data
        full = len(self.waiting) // BLOCK * BLOCK
        for start in range(0, full, BLOCK):
            self._block(self.waiting[start : start + BLOCK], last=False)
        del self.waiting[:full]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._block(self.waiting, last=True)
        super().close()

    def _block(self, data: bytes, *, last: bool) -> None:
        self.stream.write((len(data) << 3 | last).to_bytes(3, "little") + data)


def add(archive: tarfile.TarFile, place: str, source: Path | bytes) -> None:
    """A file, or a link, under its place in the archive."""
    if isinstance(source, bytes):
        entry = tarfile.TarInfo(place)
        entry.size, entry.mode = len(source), 0o644
        archive.addfile(entry, io.BytesIO(source))
    else:
        archive.add(source, place, recursive=False)


def described(package: Package) -> dict[str, bytes]:
    """The metadata that is kept apart from the files."""
    index = {"name": package.name, "version": package.version, "build": "0", "build_number": 0, "subdir": SUBDIR}
    paths = []
    for place, source in package.files.items():
        link = isinstance(source, Path) and source.is_symlink()
        paths.append({"_path": place, "path_type": "softlink" if link else "hardlink"})
    contents = {"index": index | {"depends": package.depends}, "paths": {"paths": paths, "paths_version": 1}}
    return {f"info/{name}.json": json.dumps(content).encode() for name, content in contents.items()}


def write_package(package: Package, channel: Path) -> None:
    """Write a package in the `.conda` format: a zip of two tar archives."""
    folder = channel / SUBDIR
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"pkg": package.files, "info": described(package)}
    with zipfile.ZipFile(folder / f"{package.stem}.conda", "w") as container:
        container.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        for part, files in parts.items():
            with (
                container.open(f"{part}-{package.stem}.tar.zst", "w", force_zip64=True) as stream,
                StoredZstandard(stream) as frame,
                tarfile.open(fileobj=frame, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                for place, source in files.items():
                    add(archive, place, source)
