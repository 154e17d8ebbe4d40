"""What files state of their sample: which numbers are certain, and that the record keeps them."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from records import SELECTION, assert_same, make_record, write_legacy

from homodyne_lib.io.canonical_file import open_correlations, read_correlations, write_correlations
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.formats.registry import open_catalogue
from homodyne_lib.io.formats.sample import read_sample, sample_texts
from homodyne_lib.io.input_files import InputError
from homodyne_lib.io.reader import read_two_time
from homodyne_lib.io.sample import SAMPLE_NUMBERS, Sample, common_sample

FULL = Sample("PMMA 40 %", 298.15, 1.2e-3, 3.5)


@pytest.fixture
def stating(tmp_path):
    """Calls with {path: value or (value, attributes)}; the file is open."""
    files = []

    def make(entries):
        file = h5py.File(tmp_path / "stated.h5", "w")
        files.append(file)
        for path, entry in entries.items():
            value, attributes = entry if isinstance(entry, tuple) else (entry, {})
            file[path] = value
            file[path].attrs.update(attributes)
        return file

    yield make
    for file in files:
        file.close()


@pytest.mark.parametrize(
    ("value", "attributes", "kelvin"),
    [
        (25.0, {"units": "C"}, 298.15),
        ([[25.0]], {"units": b"\xc2\xb0C"}, 298.15),
        (25.0, {"unit": "℃"}, 298.15),
        (-10.0, {"units": "Celsius"}, 263.15),
        (298.15, {"units": "K"}, 298.15),
        # What APS 8-ID writes: K, although the number is in Celsius, as its description states.
        (25.0, {"unit": "K", "description": "Sample temperature actual in celsius"}, 298.15),
        (25.0, {"unit": "K", "description": "The temperature of the rheometer"}, None),
        (25.0, {}, None),
        (298.15, {}, None),
        (298.15, {"units": "any"}, None),
        (77.0, {"units": "F"}, None),
        (0.0, {"units": "C"}, None),
        (1.0, {"unit": "K", "description": "Sample temperature actual in celsius"}, None),
        (np.nan, {"units": "C"}, None),
        (9999.0, {"units": "C"}, None),
        ([25.0, 26.0], {"units": "C"}, None),
        ("25", {"units": "C"}, None),
    ],
)
def test_a_temperature_counts_where_its_unit_is_certain(stating, value, attributes, kelvin):
    found = read_sample(stating({"entry/sample/qnw1_temperature": (value, attributes)}))
    assert found.temperature == (None if kelvin is None else pytest.approx(kelvin))
    assert found == Sample(temperature=found.temperature)


C = {"units": "C"}


@pytest.mark.parametrize(
    ("entries", "kelvin"),
    [
        ({"qnw1_temperature": 25.0, "qnw2_temperature": 25.2}, 298.25),
        ({"qnw1_temperature": 25.0, "qnw2_temperature": 60.0}, None),
        ({"qnw1_temperature": 25.0, "qnw1_temperature_set": 60.0}, 298.15),
        ({"qnw1_temperature_set": 60.0}, None),
        ({"qnw1_temperature": 25.0, "rheometer_temperature": 40.0}, 313.15),
    ],
)
def test_of_several_thermometers_that_at_the_sample_counts(stating, entries, kelvin):
    found = read_sample(stating({f"entry/sample/{name}": (value, C) for name, value in entries.items()}))
    assert found.temperature == (None if kelvin is None else pytest.approx(kelvin))


@pytest.mark.parametrize(
    ("entries", "rate", "stress"),
    [
        ({"rheometer_shear_rate": (0.05, "1/s")}, 0.05, None),
        ({"rheometer_shear_rate": (-0.05, "s⁻¹")}, 0.05, None),
        ({"shear_rate": (6.0, "1/min")}, 0.1, None),
        ({"rheometer_shear_rate": (0.05, "1/s"), "rheometer_shear_rate_set": (0.06, "1/s")}, 0.06, None),
        ({"rheometer_shear_rate": (0.05, "1/s"), "shear_rate": (0.07, "1/s")}, None, None),
        ({"rheometer_shear_stress": (2.0, "kPa")}, None, 2000.0),
        # mPa and MPa are a factor of 1e9 apart, and writers are careless with capitals.
        ({"rheometer_shear_stress": (2.0, "mPa")}, None, None),
        # The template of APS 8-ID, which nothing ever fills.
        ({"rheometer_shear_rate": (1.0, "any")}, None, None),
        ({"rheometer_shear_rate": (0.05, "")}, None, None),
        ({"rheometer_shear_rate": (0.05, " ")}, None, None),
        ({"rheometer_shear_rate": (0.0, "1/s")}, None, None),
        ({"rheometer_torque": (3.0, "1/s"), "shear_modulus": (5.0, "Pa")}, None, None),
    ],
)
def test_rate_and_stress_count_with_a_unit(stating, entries, rate, stress):
    file = stating({f"entry/sample/{name}": (value, {"units": unit}) for name, (value, unit) in entries.items()})
    found = read_sample(file)
    assert (found.shear_rate, found.shear_stress) == (pytest.approx(rate), pytest.approx(stress))
    # What does not count is shown by `make inspect` all the same.
    assert set(sample_texts(file)) == set(entries)


@pytest.mark.parametrize("place", ["entry/sample/short_description", "measurement/sample/name"])
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("PMMA,\n  40 %", "PMMA, 40 %"),
        ("Short sample description", None),
        ("John Doe", None),
        ("xpcs_20240214_120000", None),
        ("sample_name", None),
        ("N/A", None),
        ("", None),
        ("x" * 201, None),
        (3.0, None),
        (["a", "b"], None),
    ],
)
def test_a_name_is_no_placeholder(stating, place, text, name):
    assert read_sample(stating({place: text})).name == name


def test_a_damaged_or_foreign_place_states_nothing(stating):
    file = stating({"entry/sample": 3.0, "measurement/sample/name/deeper": 1.0})
    file["entry_0000/sample/temperature"] = h5py.ExternalLink("other.h5", "/t")
    file["entry_0000/sample/name"] = h5py.ExternalLink("other.h5", "/n")
    assert read_sample(file) == Sample() and sample_texts(file) == {}


def test_the_record_of_a_file_has_it_and_that_of_the_canonical_one(tmp_path):
    record = make_record()
    matrices = {k + 1: np.triu(matrix) for k, matrix in enumerate(record.c2)}
    path = write_legacy(tmp_path / "run.h5", matrices, [record.q], [record.phi])
    with h5py.File(path, "r+") as file:
        file["measurement/sample/temperature_A"] = [[25.0]]
        file["measurement/sample/temperature_A"].attrs["units"] = "C"
        file["measurement/sample/name"] = "PMMA"
    read = read_two_time(path, **SELECTION)
    assert read.sample == Sample("PMMA", 298.15)
    write_correlations(tmp_path / "c2.h5", read)
    assert read_two_time(tmp_path / "c2.h5", **SELECTION).sample == read.sample
    with open_catalogue(tmp_path / "c2.h5", "auto") as catalogue:
        assert catalogue.sample == read.sample


@pytest.mark.parametrize("sample", [FULL, Sample(), Sample("µ-gel"), Sample(shear_stress=2.0)])
def test_the_canonical_file_keeps_what_is_known_and_nothing_else(tmp_path, sample):
    record = make_record(sample=sample)
    for name in ("a.h5", "b.h5"):
        write_correlations(tmp_path / name, record)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert_same(read_correlations(tmp_path / "a.h5"), record)
    with h5py.File(tmp_path / "a.h5") as file:
        for field, (name, unit) in SAMPLE_NUMBERS.items():
            known = getattr(sample, field) is not None
            assert (name in file) == known and (not known or file[name].attrs["unit"].decode() == unit)
        assert ("sample" in file.attrs) == (sample.name is not None)


def test_numbers_that_no_sample_has_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"temperature must be positive and finite; it is -3.0 K"):
        Sample(temperature=-3.0)
    write_correlations(tmp_path / "c2.h5", make_record(sample=FULL))
    with h5py.File(tmp_path / "c2.h5", "r+") as file:
        del file["temperature"]
        file["temperature"] = [290.0, 300.0]
    with pytest.raises(InputError, match=r"temperature has the shape \(2,\)"), open_correlations(tmp_path / "c2.h5"):
        pass


def test_repeats_have_what_their_files_state_alike(tmp_path):
    paths = []
    for number, (kelvin, rate) in enumerate([(298.1, 0.05), (298.3, 0.06)]):
        paths.append(tmp_path / f"{number}.h5")
        write_correlations(paths[-1], make_record(sample=Sample("PMMA", kelvin, rate, 2.0)))
    found = read_two_time(paths, **SELECTION).sample
    assert replace(found, temperature=None) == Sample("PMMA", shear_stress=2.0)
    assert found.temperature == pytest.approx(298.2)
    assert common_sample([FULL, Sample()]) == Sample()


def test_words_have_units():
    assert FULL.in_words == (
        "name PMMA 40 %, temperature 298.15 K, shear rate of the rheometer 0.0012 1/s, "
        "shear stress of the rheometer 3.5 Pa"
    )
    assert Sample().in_words == ""


def test_files_without_a_sample_give_an_empty_one(tmp_path):
    write_aps_u(tmp_path / "run.h5", make_record())
    assert read_two_time(tmp_path / "run.h5", **SELECTION).sample == Sample()
