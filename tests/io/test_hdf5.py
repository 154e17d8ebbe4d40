"""HDF5 files that speak of more than they hold: links, foreign storage, filters, and marks of a writer that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from records import SELECTION, make_record

from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.hdf5 import read_attributes
from homodyne_lib.io.reader import read_two_time, two_time_headers

MATRIX = "exchange/C2T_all/g2_00002"


def refused(path: Path) -> str:
    """The sentence a reading is refused with; nothing advises to copy what a copy cannot mend."""
    with pytest.raises(InputError) as caught:
        read_two_time(path, **SELECTION)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and "\n" not in told
    return told


def legacy(folder: Path, change=lambda file: None, n_t: int = 7, **options: object) -> Path:
    """A good file, then changed; its second matrix is stored anew with the options."""
    path = folder / "file.h5"
    write_aps_legacy(path, make_record(n_t=n_t))
    with h5py.File(path, "a") as file:
        if options:
            values = file[MATRIX][()]
            del file[MATRIX]
            file.create_dataset(MATRIX, data=values, **options)
        change(file)
    return path


# --- links and foreign storage


def inner(folder: Path) -> Path:
    """Another file that holds all of a good one."""
    write_aps_legacy(folder / "inner.h5", make_record())
    return folder / "inner.h5"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("link", ["xpcs", "exchange/C2T_all", MATRIX])
def test_a_link_into_another_file_is_named_with_what_it_leads_to(tmp_path, link, there):
    def change(file):
        del file[link]
        file[link] = h5py.ExternalLink("inner.h5", link)

    path = legacy(tmp_path, change)
    if there:
        inner(tmp_path)
    told = refused(path)
    assert (
        f"{link} is a link into another file, inner.h5" in told
        and "in one file" in told
        and "copy it again" not in told
    )


def test_what_the_message_on_a_link_advises_mends_the_file(tmp_path):
    def change(file):
        del file["exchange"]
        file["exchange"] = h5py.ExternalLink("inner.h5", "exchange")

    path = legacy(tmp_path, change)
    advice = refused(path).partition("(with h5py: ")[2].partition(")).")[0] + ")"
    with h5py.File(inner(tmp_path)) as source, h5py.File(path, "a") as target:
        exec(advice, {"source": source, "target": target})
    np.testing.assert_array_equal(read_two_time(path, **SELECTION).c2, make_record().c2)


def test_soft_links_are_followed_within_the_file_and_not_out_of_it(tmp_path):
    def inside(file):
        file.move("exchange/C2T_all", "elsewhere/matrices")
        file["exchange/C2T_all"] = h5py.SoftLink("/elsewhere/matrices")
        file.move("xpcs/dqlist", "xpcs/lists/q")
        file["xpcs/dqlist"] = h5py.SoftLink("lists/q")  # relative to its group

    np.testing.assert_array_equal(read_two_time(legacy(tmp_path, inside), **SELECTION).c2, make_record().c2)

    def out(file):
        inside(file)
        del file["elsewhere"]
        file["elsewhere"] = h5py.ExternalLink("inner.h5", "exchange")

    inner(tmp_path)
    assert "elsewhere is a link into another file, inner.h5" in refused(legacy(tmp_path, out))


@pytest.mark.parametrize("target", ["/exchange/C2T_all", "/nowhere"])
def test_soft_links_that_lead_in_a_circle_or_nowhere_are_no_data(tmp_path, target):
    def change(file):
        del file["exchange/C2T_all"]
        file["exchange/C2T_all"] = h5py.SoftLink(target)

    assert "no two-time data" in refused(legacy(tmp_path, change))


def test_links_to_frames_that_nobody_reads_do_no_harm(tmp_path):
    def change(file):
        file["entry/data/data"] = h5py.ExternalLink("raw_frames.h5", "entry/data/data")

    np.testing.assert_array_equal(read_two_time(legacy(tmp_path, change), **SELECTION).c2, make_record().c2)


@pytest.mark.parametrize("key", ["xpcs/stride_frames", "measurement/instrument/detector/exposure_period"])
def test_what_may_be_missing_may_not_be_a_link_either(tmp_path, key):
    def change(file):
        del file[key]
        file[key] = h5py.ExternalLink("inner.h5", key)

    assert f"{key} is a link into another file" in refused(legacy(tmp_path, change))


@pytest.mark.parametrize("there", [True, False])
def test_virtual_data_sets_are_refused_with_their_sources(tmp_path, there):
    def change(file):
        del file[MATRIX]
        layout = h5py.VirtualLayout((7, 7), "f8")
        layout[:] = h5py.VirtualSource("inner.h5", MATRIX, (7, 7))
        file.create_virtual_dataset(MATRIX, layout, fillvalue=1.5)

    path = legacy(tmp_path, change)
    if there:
        inner(tmp_path)
    assert f"{MATRIX} is a virtual data set, made of the files inner.h5" in refused(path)


def test_values_that_stand_outside_of_the_file_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(np.arange(49.0).tobytes())
    path = legacy(tmp_path)
    with h5py.File(path, "a") as file:
        del file["xpcs/dphilist"]
        file.create_dataset("xpcs/dphilist", (1, 3), "f8", external=[(str(tmp_path / "secret"), 0, 24)])
    told = refused(path)
    assert "the values of xpcs/dphilist stand outside of the file" in told and "secret" in told


# --- declared, but not there


@pytest.mark.parametrize("chunks", [None, (1, 7)])
@pytest.mark.parametrize("path_in_file", [MATRIX, "xpcs/dqlist"])
def test_data_sets_that_were_never_written_are_refused(tmp_path, path_in_file, chunks):
    def change(file):
        shape = file[path_in_file].shape
        del file[path_in_file]
        file.create_dataset(path_in_file, shape, "f8", fillvalue=0.01, chunks=(1, shape[1]) if chunks else None)

    path = legacy(tmp_path, change)
    assert f"{path_in_file} is declared with the shape" in refused(path)


def test_a_small_file_that_declares_huge_matrices_is_refused_at_once(tmp_path):
    def change(file):
        for name in list(file["exchange/C2T_all"]):
            del file[f"exchange/C2T_all/{name}"]
            file.create_dataset(f"exchange/C2T_all/{name}", (10**9, 10**9), "f8", chunks=(100, 100))

    path = legacy(tmp_path, change)
    with pytest.raises(InputError, match="no value was ever written"):
        two_time_headers(path, wavevector_q=0.01)
    with h5py.File(path, "a") as file:
        for matrix in file["exchange/C2T_all"].values():
            matrix[0, 0] = 1.0
    assert "holds more than 100000" in refused(path)


def test_a_list_that_is_said_to_be_huge_is_refused_at_once(tmp_path):
    def change(file):
        del file["xpcs/dqlist"]
        file.create_dataset("xpcs/dqlist", (10**10,), "f8", chunks=(100,))[0] = 0.01

    assert "is said to hold 10000000000 numbers" in refused(legacy(tmp_path, change))


# --- filters


PACKED = {
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "blosc": hdf5plugin.Blosc(),
    "blosc2": hdf5plugin.Blosc2(),
    "lz4": hdf5plugin.LZ4(),
    "zstd": hdf5plugin.Zstd(),
}


@pytest.mark.parametrize("name", PACKED)
def test_filters_of_the_facilities_are_read(tmp_path, name):
    path = legacy(tmp_path, compression=PACKED[name], chunks=(7, 7))
    # In a process that imports the library alone, not this test's hdf5plugin.
    code = (
        "import sys; from homodyne_lib.io.reader import read_two_time; "
        "sys.stdout.buffer.write(read_two_time(sys.argv[1], wavevector_q=0.01, dt=0.1).c2.tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    np.testing.assert_array_equal(np.frombuffer(done.stdout), make_record().c2.ravel())


def test_a_filter_that_is_unknown_is_named_with_the_way_to_unpack(tmp_path):
    def change(file):
        del file[MATRIX]
        options = {"chunks": (7, 7), "compression": 40000, "compression_opts": (1,), "allow_unknown_filter": True}
        file.create_dataset(MATRIX, (7, 7), "f8", **options).id.write_direct_chunk((0, 0), b"packed")

    told = refused(legacy(tmp_path, change))
    assert f"{MATRIX} is packed with the HDF5 filter 40000" in told
    assert "h5repack -f NONE" in told and "copy it again" not in told


# --- files as a whole


SWMR = "import h5py, os, sys; f = h5py.File(sys.argv[1], 'r+', libver='latest'); f.swmr_mode = True; f.flush(); os._exit(0)"


def test_a_file_whose_writer_died_is_told_from_a_damaged_one(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["exchange/C2T_all/g2_00001"] = np.ones((7, 7))
    subprocess.run([sys.executable, "-c", SWMR, str(path)], check=True)
    told = refused(path)
    assert "marked as open for writing" in told and "`h5clear -s`" in told and "copy" not in told


def test_a_file_that_another_process_writes_is_told_alike(tmp_path):
    path = legacy(tmp_path)
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1) as writer:
        assert writer.stdout.readline() == b"open\n"
        told = refused(path)
        writer.stdin.close()
    assert "marked as open for writing: its writer still works" in told
    read_two_time(path, **SELECTION)


def test_an_attribute_of_a_type_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver="earliest") as file:  # headers without a checksum
        file.create_group("xpcs").attrs["note"] = "a text"
    # The header of a text of any length: class 9, kind 1, encoding (1 is UTF-8, 2 and above are none), size 16.
    head, *rest = path.read_bytes().split(b"\x19\x01\x01\x00\x10\x00\x00\x00")
    assert len(rest) == 1
    path.write_bytes(head + b"\x19\x01\x03\x00\x10\x00\x00\x00" + rest[0])
    with (
        h5py.File(path) as file,
        pytest.raises(InputError, match=r"the attributes of xpcs cannot be read .*copy it again"),
    ):
        read_attributes(file, "xpcs")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["a"], file[b"\xff"] = 1.0, 1.0
    assert "holds a name that is no text; the file is damaged." in refused(tmp_path / "file.h5")


def test_a_truncated_file_is_told_with_its_sizes(tmp_path):
    path = legacy(tmp_path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size - 100])
    assert f"the file is truncated: it has {size - 100} of its {size} bytes; copy it again." in refused(path)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "file.h5")
    assert "this is a pipe" in refused(tmp_path / "file.h5")


@pytest.mark.parametrize("name", ["a" * 300 + ".h5", "a\0b.h5"])
def test_names_that_no_file_can_have_are_told(tmp_path, name):
    assert "the file cannot be read" in refused(tmp_path / name)
