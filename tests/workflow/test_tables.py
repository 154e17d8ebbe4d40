"""What a user fills in: each fault of configuration, table or simulation is told in a sentence; defaults are filled."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import tables  # noqa: E402

from homodyne_lib.io.formats.registry import FORMATS  # noqa: E402
from homodyne_lib.model.parameters import ANALYSIS_MODES, PARAMETERS  # noqa: E402
from homodyne_lib.model.scaling import per_angle_scaling  # noqa: E402
from homodyne_lib.prepare.diagonal import apply_diagonal_correction  # noqa: E402
from homodyne_lib.sampling.shards import MAX_SHARDS  # noqa: E402

ROW = {"dataset": "d", "file": "d.h5", "analysis_mode": "static", "wavevector_q": "0.01", "dt": "0.1"}
PLAN = {
    "parameters": {"D0": 1000.0, "alpha": -0.5, "D_offset": 100.0},
    "phi": [0, 90],
    "n_frames": 32,
    "pixels": 100,
    "modes": 3,
    "seed": 1,
}


def told(call, *arguments) -> str:
    """The sentence a call is refused with."""
    with pytest.raises(ValueError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def nested(path: str, value: object) -> dict:
    """{"a": {"b": value}} from "a.b"."""
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def leaves(schema: dict, path: tuple[str, ...] = ()):
    """(path, schema) of every key that holds a value rather than more keys."""
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from leaves(part, (*path, name))
        else:
            yield (*path, name), part


def table(folder: Path, *rows: dict, header: list[str] | None = None, separator: str = "\t") -> str:
    """A table of rows; the header is that of the first unless given."""
    header = header or list(rows[0])
    lines = [header, *([row.get(name, "") for name in header] for row in rows)]
    path = folder / "datasets.tsv"
    path.write_text("".join(separator.join(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


# --- the schemas themselves


@pytest.mark.parametrize("name", ["config", "datasets", "simulation"])
def test_schemas_are_closed_and_complete(name):
    schema = tables.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)

    def check(part):
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value["description"].endswith("."), f"{key} needs a sentence that says what it is"
            assert value.keys() & {"type", "enum", "oneOf", "$ref"}, f"{key} needs a type"
            if "properties" in value:
                assert value["default"] == {}, f"{key} may be left out"
                check(value)

    check(schema)


def test_every_knob_of_the_configuration_has_a_default():
    assert not [".".join(path) for path, part in leaves(tables.schema("config")) if "default" not in part]


def test_columns_have_a_default_or_are_required_or_belong_to_laminar_flow():
    schema = tables.schema("datasets")
    bare = {name for name, part in schema["properties"].items() if "default" not in part}
    assert bare == {*schema["required"], "stator_rotor_gap"}


def test_defaults_pass_their_own_schema():
    config = tables.checked({}, "config", "configuration")
    assert tables.checked(copy.deepcopy(config), "config", "configuration") == config
    for path, part in leaves(tables.schema("config")):
        value = config
        for step in path:
            value = value[step]
        assert value == part["default"]


def test_shipped_configuration_and_tables_are_valid():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    tables.checked(config, "config", "configuration")
    rows = tables.read_datasets(str(ROOT / config["datasets"]))
    assert list(rows) == ["colloid", "colloid_flow", "couette_sim", "colloid_qs", "couette_qs"]
    assert all(Path(row["path"]).is_file() for row in rows.values())
    tables.read_simulation(rows["couette_sim"]["path"], "laminar_flow")


def test_no_count_of_a_user_is_without_end():
    """But for frames, which those of the file limit."""
    for name in ("config", "simulation"):
        counts = {path: part for path, part in leaves(tables.schema(name)) if part.get("type") == "integer"}
        assert not [path for path, part in counts.items() if "maximum" not in part]
    shards = tables.schema("config")["properties"]["cmc"]["properties"]["shards"]["oneOf"]
    assert shards[1]["maximum"] == MAX_SHARDS


@pytest.mark.parametrize("header", ["T", "T [K]", "$T$", "°C"])
def test_columns_of_any_length_can_be_declared(header):
    config = tables.checked({"report": {"columns": [header]}}, "config", "configuration")
    assert config["report"]["columns"] == [header]


def test_choices_are_those_of_the_library():
    columns, config = tables.schema("datasets")["properties"], tables.schema("config")
    assert tuple(columns["format"]["enum"]) == FORMATS
    assert tuple(columns["analysis_mode"]["enum"]) == ANALYSIS_MODES
    # Contrast and offset are solved for; a power of q has a key of its own.
    named = [name for name, p in PARAMETERS.items() if p.group not in ("scaling", "wavevector")]
    assert config["$defs"]["parameter"]["enum"] == named
    groups = config["properties"]
    for mode in groups["scaling"]["properties"]["per_angle_mode"]["enum"]:
        per_angle_scaling(mode, [0.0, 30.0, 60.0], [0.3] * 3, [1.0] * 3, 1)
    for method in groups["diagonal_correction"]["properties"]["method"]["enum"]:
        apply_diagonal_correction([[2.0, 1.5], [1.5, 2.0]], method=method)


# --- the configuration

FAULTS = [
    # key, value, what is told after the key
    ("sed", 1, "is not known; known are datasets, seed, "),
    ("cmc.chain", 4, "is not known; known are shards, chains, "),
    (7, 1, "is not known"),
    ("cmc", None, "is None; it must be a group of keys. Consensus Monte Carlo."),
    ("seed", -1, "is -1; it must be at least 0. Seed of "),
    ("seed", 1.5, "is 1.5; it must be a whole number."),
    ("cmc.draws", 400.0, "is 400.0; it must be a whole number."),
    ("cmc.draws", True, "is True; it must be a whole number."),
    ("cmc.draws", "many", "is 'many'; it must be a whole number. Draws kept of a chain."),
    ("cmc.shards", 0, "is 0; it must be auto or at least 1. Number of shards"),
    ("cmc.shards", "many", "is 'many'; it must be auto or a whole number."),
    ("cmc.target_acceptance", 0.5, "is 0.5; it must be above 0.5."),
    ("cmc.target_acceptance", 1, "is 1; it must be below 1."),
    ("cmc.target_acceptance", float("nan"), "is nan; it must be a finite number."),
    ("cmc.target_acceptance", True, "is True; it must be a finite number."),
    ("scaling.per_angle_mode", "indivdual", "is 'indivdual'; it must be one of auto, constant, constant_per_angle, "),
    ("uncertainty", ["independent"], "is ['independent']; it must be one of "),
    ("datasets", 3, "is 3; it must be text."),
    ("nlsq.start.D1", 3, "is not known; known are D0, alpha, "),
    ("nlsq.fixed.contrast", 0.3, "is not known; known are D0, alpha, "),
    ("nlsq.start.D0", "1e3", "is '1e3'; it must be a finite number. In YAML a power of ten needs "),
    ("nlsq.bounds.D1", [1, 2], "is not known; known are D0, alpha, "),
    ("nlsq.bounds.D0", 5, "is 5; it must be a list."),
    ("nlsq.bounds.D0", [1], "is [1]; it must be a list, at least 2 long."),
    ("nlsq.bounds.D0", [1, 2, 3], "is [1, 2, 3]; it must be a list, at most 2 long."),
    ("cmc.draws", 10**9, "is 1000000000; it must be at most 100000. Draws kept of a chain."),
    ("cmc.draws", 10**299, "is a number of more than 80 digits; it must be at most 100000."),
    ("cmc.shards", 10**6, "is 1000000; it must be auto or at most 1000. Number of shards"),
    ("cmc.min_good_shards", 2, "is 2; it must be at most 1. Share of the shards"),
    ("datasets", ["x" * 999], "is ['xxxxxxx"),
]


@pytest.mark.parametrize(("key", "value", "words"), FAULTS)
def test_a_fault_of_the_configuration_is_told_with_key_value_and_what_is_allowed(key, value, words):
    config = nested(key, value) if isinstance(key, str) else {key: value}
    assert told(tables.checked, config, "config", "configuration").startswith(f"configuration: {key} {words}")


def test_a_number_outside_a_list_of_bounds_is_told_with_its_place():
    config = nested("nlsq.bounds.D0", [1, float("inf")])
    assert "nlsq.bounds.D0.1 is inf; it must be a finite number." in told(tables.checked, config, "config", "it")


def test_all_faults_are_told_at_once():
    text = told(tables.checked, {"sed": 1, "cmc": {"chains": 1, "shards": "x"}}, "config", "mine.yaml")
    assert text.startswith("mine.yaml: ") and text.count(" Also: ") == 2
    assert all(key in text for key in ("sed", "cmc.chains", "cmc.shards"))


def violations(part: dict):
    """A value that breaks each keyword of a leaf's schema."""
    wrong_type = {"string": 3, "integer": 0.5, "number": "x", "object": 3, "array": 3}
    if "type" in part:
        yield wrong_type[part["type"]] if isinstance(part["type"], str) else None
    if "enum" in part:
        yield "no such choice"
    if "minimum" in part:
        yield part["minimum"] - 1
    if "maximum" in part:
        yield part["maximum"] + 1
    if "exclusiveMinimum" in part:
        yield part["exclusiveMinimum"]
    if "exclusiveMaximum" in part:
        yield part["exclusiveMaximum"]
    if "minItems" in part:
        yield [0] * (part["minItems"] - 1)
    if "pattern" in part:
        yield "!"
    if "oneOf" in part:
        yield []
    if "$ref" in part:
        yield {"no_such_name": 1}


@pytest.mark.parametrize("name", ["config", "datasets", "simulation"])
def test_every_key_of_every_schema_refuses_in_words(name):
    for path, part in leaves(tables.schema(name)):
        for value in violations(part):
            text = told(tables.checked, nested(".".join(path), value), name, "it")
            words = " is not known; known are " if "$ref" in part else f" is {value!r}; it must be "
            assert ".".join(path) in text and words in text, f"{path} = {value!r}: {text}"


# --- the table of datasets


def test_a_row_gets_its_defaults_types_and_path(tmp_path):
    row = tables.read_datasets(table(tmp_path, ROW | {"start_frame": "5"}))["d"]
    assert (row["wavevector_q"], row["dt"], row["start_frame"]) == (0.01, 0.1, 5)
    assert isinstance(row["start_frame"], int)
    columns = tables.schema("datasets")["properties"]
    filled = {name: part["default"] for name, part in columns.items() if "default" in part and name != "start_frame"}
    assert filled.items() <= row.items()
    assert row["path"] == str(tmp_path / "d.h5")


def test_files_are_found_from_the_table_or_by_absolute_path(tmp_path):
    rows = tables.read_datasets(table(tmp_path, ROW, ROW | {"dataset": "e", "file": "/data/e.h5"}))
    assert (rows["d"]["path"], rows["e"]["path"]) == (str(tmp_path / "d.h5"), "/data/e.h5")


def test_comments_blank_lines_and_what_spreadsheets_add_are_no_rows(tmp_path):
    path = Path(table(tmp_path, ROW | {"phi_ranges": "-10:10,85:95"}))
    header, row = path.read_text(encoding="utf-8").splitlines()
    row = row.replace("-10:10,85:95", '"-10:10,85:95"')
    lines = ["# measured in spring", header + "\t\t", "", "#" + row, row + "\t\t", "\t\t\t"]
    path.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    rows = tables.read_datasets(str(path))
    assert list(rows) == ["d"] and rows["d"]["phi_ranges"] == "-10:10,85:95"


@pytest.mark.parametrize(
    ("row", "number"),
    [
        (0, 2),  # as the first row
        (1, 3),
        (2, 4),  # after the last
    ],
)
def test_a_quotation_mark_that_stays_open_swallows_no_rows(tmp_path, row, number):
    """A comment may hold one too."""
    path = Path(table(tmp_path, ROW, ROW | {"dataset": "e"}))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines.insert(1 + row, '# note\t"as in spring')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert told(tables.read_datasets, str(path)).startswith(
        f"{path}: in line {number} a cell begins with a quotation mark that is not closed"
    )


NAMES = {
    # name of the fault: what differs in the row, what is told after path and line
    "slash": ({"dataset": "a/b"}, r"dataset is 'a/b'; it must be of the form ^[A-Za-z0-9_][A-Za-z0-9_-]*$. Name of"),
    "parent": ({"dataset": ".."}, "dataset is '..'; it must be of the form"),
    "space": ({"dataset": "a b"}, "dataset is 'a b'; it must be of the form"),
    "option": ({"dataset": "-1-1"}, "dataset is '-1-1'; it must be of the form"),
    "long": ({"dataset": "ab" * 60}, f"dataset is 'ababab{'ab' * 16}"),
    "our own": ({"dataset": "Logs"}, "results/Logs is the workflow's own folder; give the dataset another name."),
    "case": ({"dataset": "D"}, "the datasets d and D differ in case only, and some disks have one folder for both;"),
    "periodic": (
        {"dataset": "a" * 30},
        f"dataset is '{'a' * 30}'; Snakemake allows no name that repeats itself 20 times",
    ),
    "no name": ({"dataset": ""}, "dataset is missing. Name of the dataset"),
}
ROWS = {
    "no time step": ({"dt": ""}, "dt is missing. Time between frames [s]; never guessed."),
    "text for a number": ({"dt": "fast"}, "dt is 'fast'; it must be a finite number. Time between"),
    "not a number": ({"dt": "nan"}, "dt is nan; it must be a finite number."),
    "infinite": ({"wavevector_q": "inf"}, "wavevector_q is inf; it must be a finite number or text."),
    "negative": ({"wavevector_q": "-0.01"}, "wavevector_q is -0.01; it must be above 0. Wavevector q [1/Å]"),
    "half a frame": ({"start_frame": "1.5"}, "start_frame is '1.5'; it must be a whole number. First frame"),
    "frame zero": ({"start_frame": "0"}, "start_frame is 0; it must be at least 1."),
    "frame from the end": ({"end_frame": "-2"}, "end_frame is -2; it must be at least -1."),
    "tolerance": ({"q_tolerance": "1"}, "q_tolerance is 1.0; it must be below 1."),
    "mode": ({"analysis_mode": "laminar"}, "analysis_mode is 'laminar'; it must be one of static, "),
    "format": ({"format": "nexus"}, "format is 'nexus'; it must be one of auto, aps-legacy, "),
    "gap": ({"analysis_mode": "laminar_flow"}, "laminar_flow needs stator_rotor_gap [Å]; the cell is empty."),
    "closed gap": ({"stator_rotor_gap": "0"}, "stator_rotor_gap is 0.0; it must be above 0. Gap L"),
    "bad frames": ({"bad_frames": "9:4"}, "bad_frames has '9:4'; write frame numbers from 1 and ranges first:last"),
    "angles": ({"phi_ranges": "10-20"}, "phi_ranges has '10-20'; write min:max in degrees, such as "),
}


@pytest.mark.parametrize(("change", "words"), NAMES.values(), ids=NAMES)
def test_a_row_without_a_name_of_its_own_is_told_with_file_and_line(tmp_path, change, words):
    path = table(tmp_path, ROW, ROW | {"dataset": "e"} | change, header=list(ROW | change))
    assert told(tables.read_datasets, path).startswith(f"{path}, line 3: {words}")


@pytest.mark.parametrize(("change", "words"), ROWS.values(), ids=ROWS)
def test_a_wrong_value_is_the_fault_of_its_row_alone(tmp_path, change, words):
    path = table(tmp_path, ROW, ROW | {"dataset": "e"} | change, header=list(ROW | change))
    rows = tables.read_datasets(path)
    assert rows["e"]["fault"].startswith(f"{path}, line 3: {words}") and "\n" not in rows["e"]["fault"]
    assert rows["d"] == tables.read_datasets(table(tmp_path, ROW))["d"] and "fault" not in rows["d"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wavevector_q": "2.5"}, "wavevector_q = 2.5 1/Å is outside the usual range [0.0001, 1] 1/Å"),
        ({"dt": "2e-7"}, "dt = 2e-07 s is outside the usual range [1e-06, 1000] s"),
        ({"stator_rotor_gap": "5e4"}, "stator_rotor_gap = 50000 Å is outside the usual range [100000, 1e+08] Å"),
    ],
)
def test_an_unusual_geometry_is_noted_and_one_in_another_unit_refused(tmp_path, change, words):
    """Molecular glasses are measured at 2.5 1/Å, free-electron lasers pulse every 220 ns, microfluidic cells are narrow."""
    flow = ROW | {"analysis_mode": "laminar_flow", "stator_rotor_gap": "2e6"}
    (name, value) = next(iter(change.items()))
    row = tables.read_datasets(table(tmp_path, flow | change))["d"]
    assert "fault" not in row
    (sentence,) = tables.unusual(row)
    assert sentence.startswith(f"{words}; check its unit (")
    assert tables.unusual(tables.read_datasets(table(tmp_path, flow))["d"]) == []
    away = 1e3 if float(value) > float(flow[name]) else 1e-3
    fault = tables.read_datasets(table(tmp_path, flow | {name: str(float(value) * away)}))["d"]["fault"]
    assert words.partition("outside")[2] + ", by a factor of more than 100; check its unit (" in fault


def test_a_gap_in_mm_is_refused_where_a_flow_uses_it(tmp_path):
    row = ROW | {"stator_rotor_gap": "0.2"}
    assert "fault" not in tables.read_datasets(table(tmp_path, row))["d"]
    path = table(tmp_path, row | {"analysis_mode": "laminar_flow"})
    assert tables.read_datasets(path)["d"]["fault"] == (
        f"{path}, line 2: stator_rotor_gap = 0.2 Å is outside the usual range [100000, 1e+08] Å, by a factor of more than "
        "100; check its unit (1 mm is 1e7 Å)."
    )


def test_declared_columns_are_read_beside_the_rows(tmp_path):
    path = table(tmp_path, ROW | {"T [K]": "293.5", "stress": ""}, ROW | {"dataset": "e", "stress": "-1e-2"})
    assert tables.read_extra_columns(path, ["T [K]", "stress"]) == {"d": {"T [K]": 293.5}, "e": {"stress": -0.01}}
    # What changes no result is not in the row, on which results depend.
    rows = tables.read_datasets(path, ["T [K]", "stress"])
    assert rows == tables.read_datasets(table(tmp_path, ROW, ROW | {"dataset": "e"}))
    assert "'T [K]' is not known" in told(tables.read_datasets, table(tmp_path, ROW | {"T [K]": "293.5"}))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["T"], "report.columns names 'T', but no row has a number there"),
        (["dt"], "report.columns names dt, which the table of datasets has anyway"),
        (
            ["status"],
            "report.columns names 'status', which the summary has of its own; give the column another header.",
        ),
        (["temperature [K]"], "report.columns names 'temperature [K]', which the summary has of its own"),
        (["T", "D0 [Å²/s]"], "report.columns names 'D0 [Å²/s]', which the summary has of its own"),
        (["gamma_dot_error [1/s]"], "report.columns names 'gamma_dot_error [1/s]', which the summary has of its own"),
    ],
)
def test_a_fault_of_a_declared_column_is_told(tmp_path, names, words):
    assert words in told(tables.read_extra_columns, table(tmp_path, ROW | {"T": ""}), names)


@pytest.mark.parametrize(("cell", "words"), [("warm", "'warm'"), ("nan", "nan"), ("1e999", "inf")])
def test_no_number_in_a_declared_column_is_the_fault_of_its_row(tmp_path, cell, words):
    path = table(tmp_path, ROW | {"T": "1"}, ROW | {"dataset": "e", "T": cell})
    rows = tables.read_datasets(path, ["T"])
    assert (
        rows["e"]["fault"] == f"{path}, line 3: T is {words}; it must be a finite number." and "fault" not in rows["d"]
    )
    assert tables.read_extra_columns(path, ["T"]) == {"d": {"T": 1.0}, "e": {}}


def test_a_dataset_stands_in_the_table_once(tmp_path):
    path = table(tmp_path, ROW, ROW)
    assert told(tables.read_datasets, path) == f"{path}, line 3: dataset d stands in the table twice."


def test_an_unknown_column_is_told_even_where_it_is_empty(tmp_path):
    path = table(tmp_path, ROW, header=[*ROW, "colour"])
    assert told(tables.read_datasets, path).startswith(f"{path}: the column 'colour' is not known; known are dataset, ")
    assert "A column of your own with numbers is declared in config.yaml, as report.columns: [" in told(
        tables.read_datasets, path
    )


def test_a_column_stands_in_the_table_once(tmp_path):
    path = table(tmp_path, ROW, header=[*ROW, "dt"])
    assert "the column 'dt' stands there twice." in told(tables.read_datasets, path)


def test_commas_between_columns_are_recognised(tmp_path):
    text = told(tables.read_datasets, table(tmp_path, ROW, separator=","))
    assert "is not known" in text and text.endswith("Columns are separated by tabs.")


def test_a_cell_beyond_the_columns_is_not_lost(tmp_path):
    path = Path(table(tmp_path, ROW))
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\t5\n", encoding="utf-8")
    assert told(tables.read_datasets, str(path)) == (
        f"{path}, line 2: '5' stands in a column without a name; count the tabs."
    )


@pytest.mark.parametrize("content", ["", "\n", "# nothing yet\n", "\t".join(ROW) + "\n"])
def test_a_table_without_rows_is_told(tmp_path, content):
    (tmp_path / "datasets.tsv").write_text(content, encoding="utf-8")
    path = str(tmp_path / "datasets.tsv")
    assert told(tables.read_datasets, path) == f"{path} holds no dataset; add a row."


def test_a_missing_table_is_told_with_the_folder_it_was_sought_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = told(tables.read_datasets, "config/datasets.tsv")
    assert "'config/datasets.tsv' is not a file in " + str(tmp_path) in text


def test_a_table_of_another_kind_of_file_is_told(tmp_path):
    path = tmp_path / "datasets.tsv"
    path.write_bytes("dataset\tfile".encode("utf-16"))
    assert told(tables.read_datasets, str(path)).startswith(f"{path} is not a table of tab-separated UTF-8 text (")


# --- the description of a simulation


def plan_file(folder: Path, content: object) -> str:
    path = folder / "plan.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def test_a_simulation_is_read(tmp_path):
    assert tables.read_simulation(plan_file(tmp_path, PLAN | {"counts": 0.5}), "static") == PLAN | {"counts": 0.5}


PLANS = {
    "unknown key": (PLAN | {"noise": 1}, "noise is not known; known are parameters, phi, "),
    "missing key": ({key: PLAN[key] for key in PLAN if key != "modes"}, "modes is missing. Independent fields"),
    "many frames": (PLAN | {"n_frames": 10**9}, "n_frames is 1000000000; it must be at most 100000. Number of frames."),
    "few frames": (PLAN | {"n_frames": 10}, "n_frames is 10; it must be at least 20. Number of frames."),
    "angle that is none": (PLAN | {"phi": [0, 1e308]}, "phi.1 is 1e+308; it must be at most 3600"),
    "no angle": (PLAN | {"phi": []}, "phi is []; it must be a list, at least 1 long. Angles [deg]."),
    "text for an angle": (PLAN | {"phi": [0, "x"]}, "phi.1 is 'x'; it must be a finite number."),
    "dark": (PLAN | {"counts": 0}, "counts is 0; it must be above 0. Mean photons"),
    "other model": (
        PLAN | {"parameters": {"D0": 1.0}},
        "a simulation in the mode static takes the parameters D0, alpha, D_offset; ",
    ),
    "list": ([1, 2], "the content is [1, 2]; it must be a group of keys."),
    "empty": ("", "the content is None; it must be a group of keys."),
    "not YAML": ("phi: [0", "line 1: this is not YAML (expected "),
    "key twice": ("phi: [0]\nseed: 1\nphi: [1]", "the key phi stands twice, in lines 1 and 3; make them one"),
}


@pytest.mark.parametrize(("content", "words"), PLANS.values(), ids=PLANS)
def test_a_fault_of_a_simulation_is_told_with_its_file(tmp_path, content, words):
    path = plan_file(tmp_path, content)
    assert told(tables.read_simulation, path, "static").startswith(f"{path}: {words}")


def test_a_missing_simulation_is_told(tmp_path):
    path = str(tmp_path / "plan.yaml")
    assert told(tables.read_simulation, path, "static").startswith(
        f"{path}: this file cannot be read (No such file or "
    )
