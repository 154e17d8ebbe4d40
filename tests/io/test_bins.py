"""Bins have the q and angle that their writers mean: names, grids, units, and maps of pixels, real and made."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from records import SELECTION, make_record, write_legacy

from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import APS_LEGACY
from homodyne_lib.io.formats.aps_u import APS_U, write_aps_u
from homodyne_lib.io.formats.registry import open_catalogue
from homodyne_lib.io.reader import read_two_time, two_time_headers

FACILITY = Path(__file__).parents[1] / "data/facility"
TRUTH = json.loads((FACILITY / "truth.json").read_text())
FRAME_TIME = 0.00130068  # [s]
LISTED, MEASURED = ["apsu_qphi", "apsu_dqmap_norm_18bins", "apsu_pixel_groups"], {
    "apsu_xy_map": "The map of bins is a grid in x and y, which states no q and phi.",
    "apsu_combined_maps": "contradict its pixels in 16 of 16 bins",
    "apsu_phi_offset30": "contradict its pixels in 10 of 10 bins",
    "apsu_ellipse": "contradict its pixels in 10 of 10 bins",
}  # fmt: skip


def away(phi, other):
    """Angle between directions [deg]."""
    return np.abs(np.mod(np.subtract(phi, other) + 180.0, 360.0) - 180.0)


# ---------------------------------------------------------------- real files


@pytest.mark.parametrize("name", TRUTH)
def test_real_files_have_the_q_and_phi_of_their_pixels(name):
    truth = {key: np.array(values) for key, values in TRUTH[name].items()}
    many = truth["pixels"] >= 50
    with open_catalogue(FACILITY / f"{name}.h5", "auto") as catalogue:
        assert {matrix.shape for matrix in catalogue.matrices} == {(12, 12)}
        assert catalogue.frame_time == FRAME_TIME
        np.testing.assert_array_equal(catalogue.pixels, truth["pixels"])
        # Nominal centres lie within half of the 30 or 45 deg sectors, less here; means agree to the digits of the truth.
        room_q, room_phi = (0.032, 14.0) if name in LISTED else (2e-5, 1e-3)
        assert np.max(np.abs(catalogue.q / truth["q"] - 1)[many]) < room_q
        assert np.max(away(catalogue.phi, truth["phi"])[many]) < room_phi
        assert catalogue.notes == () if name in LISTED else MEASURED[name] in catalogue.notes[0]
    assert all(note.count("computed from beam centre, distance and photon energy") == 1 for note in catalogue.notes)


@pytest.mark.parametrize("name", LISTED)
def test_lists_that_agree_with_the_pixels_are_used_to_the_last_bit(name):
    with h5py.File(FACILITY / f"{name}.h5") as file:
        qmap = file["xpcs/qmap"]
        q, phi, places = (
            qmap[key][()] for key in ("dynamic_v_list_dim0", "dynamic_v_list_dim1", "dynamic_index_mapping")
        )
        expected = [divmod(int(places[label - 1]), len(phi)) for label in file["xpcs/twotime/processed_bins"]]
    with open_catalogue(FACILITY / f"{name}.h5", "auto") as catalogue:
        np.testing.assert_array_equal(catalogue.q, [q[row] for row, _ in expected])
        np.testing.assert_array_equal(catalogue.phi, [phi[column] for _, column in expected])


@pytest.mark.parametrize("name", TRUTH)
def test_matrices_of_real_files_are_those_of_the_movie(name):
    """By NumPy from the counts: each matrix belongs to the pixels whose q and angle it is given."""
    with np.load(FACILITY / "movie.npz") as file:
        counts = file["counts"].astype(float)
    with h5py.File(FACILITY / f"{name}.h5") as file:
        labels, static = (file[f"xpcs/qmap/{key}_roi_map"][()] for key in ("dynamic", "static"))
        smooth = file["xpcs/twotime/config/smooth"][()].decode()
        processed = file["xpcs/twotime/processed_bins"][()]
    if smooth == "sqmap":  # the writer divides pixels by the mean of their static bin in the same frame
        for k in np.unique(static[static > 0]):
            mean = counts[:, static == k].mean(axis=1, keepdims=True)
            counts[:, static == k] /= np.where(mean > 0, mean, 1.0)
    with open_catalogue(FACILITY / f"{name}.h5", "auto") as catalogue:
        for matrix, label, pixels in zip(catalogue.matrices, processed, catalogue.pixels, strict=True):
            if pixels < 50:  # of some, all counts of a frame are zero
                continue
            own = counts[:, labels == label]
            expected = np.triu(own @ own.T / pixels / np.outer(own.mean(axis=1), own.mean(axis=1)))
            # Sums of hundreds of products in single precision.
            np.testing.assert_allclose(matrix.read(slice(None)), expected, rtol=1e-5, atol=0)


def test_a_real_file_gives_the_record_of_its_ring():
    record = read_two_time(FACILITY / "apsu_qphi.h5", wavevector_q=0.00674, dt=FRAME_TIME)
    pixels = np.array(TRUTH["apsu_qphi"]["pixels"])
    np.testing.assert_array_equal(record.pixels, pixels[22:33])  # 11 sectors of the third ring, from bin 23
    assert record.q == pytest.approx(0.00674265, rel=1e-6)
    assert np.max(away(record.phi, TRUTH["apsu_qphi"]["phi"][22:33])) < 8
    assert record.notes == ()
    with pytest.raises(InputError, match=r"choose from the q of the file, 0.004186, 0.005464, 0.006743, 0.008021 1/Å"):
        two_time_headers(FACILITY / "apsu_qphi.h5", wavevector_q=0.02)


def test_a_row_with_the_q_of_wrong_lists_is_told_why_it_is_not_there():
    with pytest.raises(
        InputError, match=r"choose from the q of the file, 0.004429, .* 1/Å, .* The lists .* contradict"
    ):
        two_time_headers(FACILITY / "apsu_ellipse.h5", wavevector_q=0.7112)


# ---------------------------------------------------------------- names of legacy matrices


@pytest.mark.parametrize(
    ("listed", "names", "bins"),
    [
        ([4, 5, 6], [4, 5, 6], [4, 5, 6]),  # names are bins
        ([4, 5, 6], [1, 2, 3], [4, 5, 6]),  # names are ordinals
        ([6, 2, 4], [1, 2, 3], [6, 2, 4]),  # in the order of the list
        ([6, 2, 4], [2, 4, 6], [2, 4, 6]),
        ([1, 2, 3], [1, 2, 3], [1, 2, 3]),  # both, and the same
        (None, [2, 4, 6], [2, 4, 6]),
    ],
)
@pytest.mark.parametrize("shape", [(1, -1), (-1, 1)])
def test_legacy_matrices_are_of_the_bins_that_list_and_names_tell(tmp_path, listed, names, bins, shape):
    q, phi = 0.01 + np.arange(6) / 1000, 10.0 * np.arange(6)
    path = write_legacy(tmp_path / "file.h5", dict(zip(names, make_record().c2, strict=True)), q, phi)
    if listed is not None:
        with h5py.File(path, "a") as file:
            file[APS_LEGACY["bins"]] = np.reshape(np.array(listed, "u8"), shape)
    with open_catalogue(path, "auto") as catalogue:
        np.testing.assert_array_equal(catalogue.q, q[np.array(bins) - 1])
        np.testing.assert_array_equal(catalogue.phi, phi[np.array(bins) - 1])


@pytest.mark.parametrize(
    ("listed", "names", "told"),
    [
        ([4, 5, 6, 3], [1, 2, 3], "3 matrices, g2_00001 to g2_00003, and .* 4 bins from 3 to 6"),
        ([4, 5], [4, 5, 6], "3 matrices, .* 2 bins from 4 to 5"),
        ([2, 3, 4], [1, 2, 4], "it is unknown which matrix is of which bin"),
        ([1, 2, 3, 4], [1, 2, 3], "3 matrices, .* 4 bins"),  # some are missing
        ([3, 1, 2], [1, 2, 3], "it is unknown which matrix is of which bin"),  # bins or ordinals
        ([4, 5, 7], [4, 5, 6], "lists bin 7, but there are bins 1 to 6"),
        ([0, 1, 2], [1, 2, 3], "lists bin 0"),
        ([4, 4, 5], [4, 5, 6], "lists a bin twice"),
    ],
)
def test_legacy_matrices_of_unknown_bins_are_refused(tmp_path, listed, names, told):
    matrices = dict(zip(names, make_record().c2, strict=True))
    path = write_legacy(tmp_path / "file.h5", matrices, [0.01] * 6, 10.0 * np.arange(6))
    with h5py.File(path, "a") as file:
        file[APS_LEGACY["bins"]] = listed
    with pytest.raises(InputError, match=told):
        two_time_headers(path, wavevector_q=0.01)


def test_pixels_of_legacy_bins_are_counted_without_those_masked(tmp_path):
    path = write_legacy(
        tmp_path / "file.h5", dict(zip([2, 1, 3], make_record().c2, strict=True)), [0.01] * 3, [9, 8, 7]
    )
    with h5py.File(path, "a") as file:
        file["xpcs/dqmap"] = np.array([[1, 1, 2, 0], [2, 3, 3, 3]], "u4")
        file["xpcs/mask"] = np.array([[0, 1, 1, 1], [1, 1, 1, 1]], "u1")
    np.testing.assert_array_equal(
        read_two_time(path, **SELECTION).pixels, [3, 2, 1]
    )  # by ascending angle: bins 3, 2, 1


def test_twin_bins_are_named_as_such(tmp_path):
    c2 = make_record(5).c2
    path = write_legacy(
        tmp_path / "file.h5", dict(enumerate(c2, 1)), [0.01, 0.0101, 0.01, 0.01, 0.01], [30.0, 30.0, 30.0, -9.0, 30.0]
    )
    record = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(record.c2, c2[[3, 0]])  # the first of the three
    twins, ring = record.notes
    assert "same q and angle" in twins and "the first was taken, 2 were left out" in twins
    assert "more than one q ring" in ring and "(q = 0.01, 0.0101 1/Å)" in ring and "1 were left out" in ring


# ---------------------------------------------------------------- grids of the upgraded beamline


def grid_file(path, bins, q=(0.01, 0.02), phi=(-60.0, 0.0, 60.0), **changes):
    """A file with matrices of some bins, q × phi unless changed; {key of APS_U: value, None to leave out}."""
    content = {"q": q, "phi": phi, "bins": bins, **changes}
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            if value is not None:
                file[APS_U[key]] = value
        for k, matrix in enumerate(make_record(len(bins)).c2, 1):
            file[f"{APS_U['matrices']}/c2_{k:05d}"] = np.triu(matrix)
    return path


def bins_of(path):
    with open_catalogue(path, "aps-u") as catalogue:
        return catalogue.q.tolist(), catalogue.phi.tolist()


@pytest.mark.parametrize(
    ("bins", "places", "expected"),
    [
        ([1, 2, 3], [0, 2, 4, 5], [(0.01, -60), (0.01, 60), (0.02, 0)]),
        ([4, 2], [0, 2, 4, 5], [(0.02, 60), (0.01, 60)]),
        ([1, 2], [5, 1], [(0.02, 60), (0.01, 0)]),
        ([2, 6], None, [(0.01, 0), (0.02, 60)]),
    ],
)
def test_places_of_bins_are_those_of_the_mapping(tmp_path, bins, places, expected):
    q, phi = bins_of(grid_file(tmp_path / "file.h5", bins, places=places))
    assert list(zip(q, phi, strict=True)) == expected


@pytest.mark.parametrize(
    ("axes", "units", "expected"),
    [
        ([b"q", b"phi"], [b"1/nm", b"deg"], ([0.001, 0.002], [0.0, 0.0])),
        (["q", "phi"], ["nm⁻¹", "rad"], ([0.001, 0.002], [0.0, 0.0])),
        (["Q", "phi "], ["Å⁻¹", "degree"], ([0.01, 0.02], [0.0, 0.0])),
        (["q", "phi"], ["m$^{\N{MINUS SIGN}1}$", "°"], ([1e-12, 2e-12], [0.0, 0.0])),
        (["q", "phi"], ["A^-1", ""], ([0.01, 0.02], [0.0, 0.0])),
        (["q", "phi"], None, ([0.01, 0.02], [0.0, 0.0])),
        # rows are angles: 0.01 and 0.02 rad; columns q: the middle one, 0
        (["phi", "q"], ["rad", "1/Å"], ([0.0, 0.0], [np.degrees(0.01), np.degrees(0.02)])),
    ],
)
def test_axes_and_units_are_those_that_the_file_names(tmp_path, axes, units, expected):
    actual = bins_of(grid_file(tmp_path / "file.h5", [2, 5], axes=axes, units=units))
    np.testing.assert_allclose(actual, expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"places": [0, 2, 6]}, "dynamic_index_mapping holds place 6 in a grid of places 0 to 5"),
        ({"places": [0, 2, 2]}, "dynamic_index_mapping holds a place twice"),
        ({"places": [0, 2]}, "lists bin 3, but the places in .*dynamic_index_mapping make bins 1 to 2"),
        ({"units": [b"1/um", b"deg"]}, "q has the unit '1/um', which is unknown; known are 1/Å, 1/nm or 1/m"),
        ({"units": [b"1/A", b"turn"]}, "phi has the unit 'turn', which is unknown; known are deg or rad"),
        ({"axes": [b"q"]}, "must name two axes and their units, but hold q and nothing; process"),
        ({"axes": ["q", "q"]}, "must name two axes and their units, but hold q, q and nothing"),
        ({"axes": [1, 2]}, "map_names is not a data set with texts"),
        ({"axes": ["x", "y"]}, "a grid in x and y, .* unknown without xpcs/qmap/dynamic_roi_map"),
        ({"axes": ["q", "x"]}, "a grid in q and x, .* unknown without"),
        ({"axes": ["x", "y"], "labels": np.eye(9, dtype=int) * 3 + 1}, "has no pixel of bin 2"),
        (
            {"axes": ["x", "y"], "labels": np.arange(1, 10).reshape(3, 3)},
            "unknown without xpcs/qmap/beam_center_x, xpcs/",
        ),
        ({"q": h5py.Empty("f8")}, "dynamic_v_list_dim0 is not a data set with real numbers"),
        ({"labels": np.ones((3, 3)), "mask": h5py.Empty("?")}, "mask is not a data set with real numbers"),
        ({"labels": np.arange(1, 7)}, r"dynamic_roi_map has the shape \(6,\)"),
        (
            {"labels": np.ones((3, 3)), "mask": np.ones((2, 2), bool)},
            r"roi_map has the shape \(3, 3\) and .*mask \(2, 2\)",
        ),
        ({"labels": np.ones((3, 3)), "mask": "all"}, "mask is not a data set with real numbers"),
    ],
)
def test_a_grid_that_does_not_tell_its_bins_is_refused(tmp_path, changes, told):
    path = grid_file(tmp_path / "file.h5", [1, 2, 3], **changes)
    with pytest.raises(InputError, match=told) as caught:
        two_time_headers(path, wavevector_q=0.01)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- lists against pixels

CENTRE, ENERGY = (70.3, 80.6), 10.0  # (column, row) [px], [keV]
GEOMETRY = {
    "beam_center_x": CENTRE[0],
    "beam_center_y": CENTRE[1],
    "pixel_size": 3e-4,
    "detector_distance": 5.0,
    "energy": ENERGY,
}
SHAPE = (170, 150)


def polar(shape=SHAPE):
    """q [1/Å] and angle [deg] of every pixel, the latter counter-clockwise with row 0 on top."""
    row, column = np.indices(shape)
    x, y = column - CENTRE[0], CENTRE[1] - row
    two_theta = np.arctan(np.hypot(x, y) * GEOMETRY["pixel_size"] / GEOMETRY["detector_distance"])
    return 4 * np.pi / (12.39842 / ENERGY) * np.sin(two_theta / 2), np.degrees(np.arctan2(y, x))


def sectors(n_q, n_phi, *, fold=1, spacing=np.linspace, window=(0.004, 0.018), hidden=None):
    """Labels and the nominal centres of rings × sectors as their writer numbers them: empty ones have no label."""
    q, phi = polar()
    edges = spacing(*window, n_q + 1)
    span = 360.0 / fold
    used = (q >= edges[0]) & (q < edges[-1])
    if hidden is not None:
        used &= ~hidden(q, phi)
    ring, sector = np.digitize(q, edges) - 1, np.floor(np.mod(phi + 180.0, span) / span * n_phi).astype(int)
    place = np.where(used, ring * n_phi + np.minimum(sector, n_phi - 1), -1)
    places = np.unique(place[used])
    labels = np.where(used, np.searchsorted(places, place) + 1, 0)
    middle = np.sqrt(edges[1:] * edges[:-1]) if spacing is np.geomspace else (edges[1:] + edges[:-1]) / 2
    return labels, places, middle, (np.arange(n_phi) + 0.5) * span / n_phi - (180.0 if fold == 1 else 0.0)


def map_file(path, labels, places, q, phi, geometry=GEOMETRY, **more):
    """A file with all bins of a map."""
    bins = np.arange(1, len(places) + 1)
    grid_file(path, bins, q, phi, places=places, labels=labels.astype("u2"), **more)
    with h5py.File(path, "a") as file:
        for name, value in geometry.items():
            file[f"xpcs/qmap/{name}"] = value
    return path


def read_bins(path):
    with open_catalogue(path, "auto") as catalogue:
        return catalogue.q, catalogue.phi, catalogue.pixels, catalogue.notes


def stop(q, phi):
    """Shadow of a beam stop and of its arm, which hides some bins and cuts others."""
    return (q < 0.006) | (np.abs(phi - 100) < 20) & (q < 0.014)


MAPS = {
    "sectors": sectors(4, 12),
    "half hidden": sectors(4, 12, hidden=stop),
    "narrow sectors": sectors(2, 24, window=(0.01, 0.018)),
    "two half rings": sectors(3, 2),
    "wide": sectors(1, 4, window=(0.001, 0.018)),
    "logarithmic": sectors(4, 8, spacing=np.geomspace),
    "opposite sectors": sectors(3, 6, fold=2),
    "opposite sectors, half hidden": sectors(3, 6, fold=2, hidden=stop),
    "four-fold": sectors(3, 3, fold=4),
    "rings": sectors(4, 1),
    "rings, half hidden": sectors(4, 1, hidden=stop),
    "a ring cut by the detector": sectors(5, 1, hidden=lambda q, phi: np.abs(phi) > 60 + 4000 * q),
    "corner": sectors(6, 16, window=(0.004, 0.026)),
}


@pytest.mark.parametrize("name", MAPS)
def test_right_lists_are_used_for_every_kind_of_map(tmp_path, name):
    labels, places, q, phi = MAPS[name]
    found_q, found_phi, pixels, notes = read_bins(map_file(tmp_path / "file.h5", *MAPS[name]))
    assert notes == ()
    np.testing.assert_array_equal(found_q, q[places // len(phi)])
    np.testing.assert_array_equal(found_phi, phi[places % len(phi)])
    np.testing.assert_array_equal(pixels, [np.count_nonzero(labels == k + 1) for k in range(len(places))])


def slow_means(labels, n):
    """q, and the angle of the mean unit vector, of the pixels of each bin, one by one."""
    q, phi = polar()
    own = [labels == k + 1 for k in range(n)]
    return [q[m].mean() for m in own], [np.degrees(np.angle(np.exp(1j * np.radians(phi[m])).mean())) for m in own]


def row_by_row(labels, places, q, phi):
    """Empty places forgotten, as when maps are joined."""
    return labels, np.arange(len(places)), q, phi


def offset(degrees):
    return lambda labels, places, q, phi: (labels, places, q, phi + degrees)


def two_swapped(labels, places, q, phi):
    places = places.copy()
    places[[20, 21]] = places[[21, 20]]
    return labels, places, q, phi


def in_other_units(labels, places, q, phi):
    return labels, places, 10 * q, phi


def with_nan(labels, places, q, phi):
    return labels, places, np.where(np.arange(len(q)) == 1, np.nan, q), phi


@pytest.mark.parametrize("change", [row_by_row, offset(7.5), offset(-180), two_swapped, in_other_units, with_nan])
def test_wrong_lists_give_way_to_the_pixels(tmp_path, change):
    labels, *_ = MAPS["half hidden"]
    path = map_file(tmp_path / "file.h5", *change(*MAPS["half hidden"]))
    q, phi, pixels, (note,) = read_bins(path)
    expected_q, expected_phi = slow_means(labels, len(q))
    np.testing.assert_allclose(q, expected_q, rtol=1e-12)  # sums in another order
    assert np.max(away(phi, expected_phi)) < 1e-9
    assert "contradict its pixels" in note and "bin " in note
    assert f"of {np.count_nonzero(pixels >= 50)} bins of 50 pixels or more" in note


@pytest.mark.parametrize("name", ["opposite sectors", "narrow sectors", "two half rings", "four-fold"])
def test_offsets_of_half_a_sector_are_seen_in_every_kind_of_map(tmp_path, name):
    labels, places, q, phi = MAPS[name]
    shift = 0.5 * (phi[1] - phi[0])
    _, actual, _, (note,) = read_bins(map_file(tmp_path / "file.h5", labels, places, q, phi + shift))
    fold = {"opposite sectors": 2, "four-fold": 4}.get(name, 1)
    # Means over the pixels of a sector; of a symmetric map, modulo the symmetry. A pixel is 1 deg wide at the inner ring.
    apart = away(fold * actual, fold * phi[places % len(phi)]) / fold
    assert np.max(apart) < 2.0 and "contradict" in note


def test_a_few_stray_pixels_do_not_condemn_a_list(tmp_path):
    """A bin of 49 pixels somewhere else than listed; of 50, it does."""
    labels, places, q, phi = MAPS["sectors"]
    for left, n_notes in ((49, 0), (50, 1)):
        moved = labels.copy()
        moved[labels == 30] = 0
        moved.ravel()[np.flatnonzero(labels == 6)[:left]] = 30
        assert len(read_bins(map_file(tmp_path / f"{left}.h5", moved, places, q, phi))[3]) == n_notes


def test_angles_that_count_clockwise_are_used_as_listed(tmp_path):
    labels, places, q, phi = MAPS["half hidden"]
    _, actual, _, (note,) = read_bins(map_file(tmp_path / "file.h5", labels, places, q, -phi))
    np.testing.assert_array_equal(actual, -phi[places % len(phi)])
    assert "clockwise" in note


def test_masked_pixels_do_not_count(tmp_path):
    labels, places, q, phi = MAPS["sectors"]
    mask = polar()[0] < 0.0163
    *_, pixels, notes = read_bins(map_file(tmp_path / "file.h5", labels, places, q, phi, mask=mask))
    np.testing.assert_array_equal(pixels, [np.count_nonzero(mask & (labels == k + 1)) for k in range(len(places))])
    assert notes == ()


def swung(path, degrees, name="flightpath_swing"):
    with h5py.File(path, "a") as file:
        file[f"entry/instrument/detector_1/{name}"] = [[degrees]]
    return path


@pytest.mark.parametrize("name", ["flightpath_swing", "flightpath_swing_vertical"])
def test_wrong_lists_of_a_swung_detector_are_refused(tmp_path, name):
    labels, places, q, phi = MAPS["half hidden"]
    path = swung(map_file(tmp_path / "file.h5", labels, places, q, phi + 10), -7.0, name)
    with pytest.raises(InputError, match=r"contradict .* not known either, since the detector is swung by -7 deg"):
        two_time_headers(path, wavevector_q=0.01)
    xy = swung(map_file(tmp_path / "xy.h5", labels, places, q, phi, axes=["x", "y"]), -7.0, name)
    with pytest.raises(InputError, match=r"grid in x and y, .* swung by -7 deg"):
        two_time_headers(xy, wavevector_q=0.01)


def test_a_swung_detector_with_right_lists_and_an_arm_at_rest_are_read(tmp_path):
    labels, places, q, phi = MAPS["half hidden"]
    assert read_bins(swung(map_file(tmp_path / "a.h5", labels, places, q, phi), 7.0))[3] == ()
    rest = swung(map_file(tmp_path / "b.h5", labels, places, q, phi + 10), 0.0013)  # as real files have it
    assert "contradict" in read_bins(rest)[3][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("energy", 0.0), ("beam_center_x", np.nan), ("detector_distance", 5000.0), ("pixel_size", np.inf)],  # 5000 mm
)
def test_a_geometry_that_cannot_be_is_no_witness(tmp_path, name, value):
    labels, places, q, phi = MAPS["sectors"]
    geometry = GEOMETRY | {name: value}
    _, actual, _, (note,) = read_bins(map_file(tmp_path / "file.h5", labels, places, q, phi + 15, geometry))
    np.testing.assert_array_equal(actual, phi[places % len(phi)] + 15)
    said = f"xpcs/qmap/{name} is {value:g} "
    assert "not compared with its pixels" in note and said in note and "outside" in note
    xy = map_file(tmp_path / "xy.h5", labels, places, q, phi, geometry, axes=["x", "y"])
    with pytest.raises(InputError, match=f"grid in x and y, .* {said}.*outside .*; correct it"):
        two_time_headers(xy, wavevector_q=0.01)


def test_lists_without_a_geometry_are_used_as_they_are(tmp_path):
    labels, places, q, phi = MAPS["sectors"]
    path = map_file(tmp_path / "file.h5", labels, places, q, phi + 15, geometry={})
    _, found_phi, pixels, notes = read_bins(path)
    np.testing.assert_array_equal(found_phi, phi[places % len(phi)] + 15)
    assert notes == () and pixels.sum() == np.count_nonzero(labels)


def test_a_file_of_our_own_has_no_map(tmp_path):
    write_aps_u(tmp_path / "file.h5", make_record())
    assert read_two_time(tmp_path / "file.h5", **SELECTION).pixels is None
