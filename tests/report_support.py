"""Result files of a small record, as the stages before the report leave them; and a page of HTML and a PDF, taken apart."""

from __future__ import annotations

import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np

from homodyne_lib.io.canonical_file import write_correlations
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.files import write_json
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.results.draws import write_draws
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posterior_records import chain_diagnostics, parameter_rows
from homodyne_lib.spec.jax_backend import compute_g2_scaled

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "workflow" / "notebooks" / "report.ipynb"
CAPTIONS = jinja2.Template((ROOT / "workflow" / "report" / "files.rst").read_text(encoding="utf-8"))
"""Of figures and curves in Snakemake's report, by name: here the tests know which there are."""
NAMED = CAPTIONS.make_module({"snakemake": {"wildcards": {}}})
HOSTILE = "a|b_*<script>alert(1)</script>`$x$ [y](z) #pagebreak() @ref \\n.h5"
TRUTH = {"D0": 900.0, "alpha": -0.4, "D_offset": 50.0, "gamma_dot_t0": 2e-3, "beta": -0.2}
TRUTH |= {"gamma_dot_t_offset": 1e-4, "phi0": 5.0}
GAP, N_T, DT, Q, SIGMA = 2e6, 30, 0.2, 0.006, 0.01
PHI = np.array([-60.0, 0.0, 45.0])


def small_record(params, gap, phi=PHI, rings=(Q,), repeats=1):
    """The same angles at every q and in every repeat."""
    time = np.arange(N_T) * DT
    models = [compute_g2_scaled(params, time, time, phi, q, gap or 1.0, 0.3, 1.0, DT) for q in rings]
    model = np.concatenate(repeats * models)
    noise = np.triu(np.random.default_rng(3).normal(0.0, SIGMA, model.shape), 1)
    c2 = model + noise + noise.transpose(0, 2, 1)
    digests = [f"{k:x}123456789abcdef" * 4 for k in range(repeats)]
    return Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=np.tile(phi, repeats * len(rings)),
        q=np.tile(np.repeat(rings, len(phi)), repeats),
        dt=DT,
        frames=np.arange(1, N_T + 1),
        stator_rotor_gap=gap,
        sigma=np.full(len(c2), SIGMA),
        source=", ".join([HOSTILE] * repeats),
        source_sha256=", ".join(digests),
        notes=("A note with <b>markup</b> & _more_.",),
        repeat=np.repeat(np.arange(repeats), len(phi) * len(rings)),
    )


def write_results(folder, mode, detected=None, phi=PHI, n_shards=1, rings=(Q,), repeats=1):
    """Result files whose draws scatter about the values that made the record, with errors twice those of independent
    entries.
    """
    names = parameter_names(mode)
    laminar = mode == "laminar_flow"
    record = small_record([TRUTH[name] for name in names], GAP if laminar else None, phi, rings, repeats)
    n = len(record.phi)
    write_correlations(folder / "c2.h5", record)
    bins = {"phi": record.phi, "q": record.q, "repeat": record.repeat}
    scaling = bins | {"contrast": [0.3] * n, "offset": [1.0] * n}
    write_json(folder / "scaling.json", scaling | {"warnings": ["phi = 0 deg: biased."]})
    coefficients = {f"contrast_{k}": 0.3 for k in range(n)} | {f"offset_{k}": 1.0 for k in range(n)}
    nlsq = {
        "estimator": "least_squares",
        "analysis_mode": mode,
        "per_angle_mode": "individual",
        "shear_convention": "spec",
        "parameters": {
            name: {"value": TRUTH[name], "error": 0.02 * abs(TRUTH[name]), "unit": "", "at_bound": False}
            for name in names
        },
        "scaling": scaling | {"contrast_error": [0.001] * n, "offset_error": [0.001] * n},
        "coefficients": coefficients,
        "covariance": {"names": names, "matrix": np.diag([(0.02 * TRUTH[name]) ** 2 for name in names])},
        "chi2": 1300.0,
        "reduced_chi2": 1.01,
        "n_points": n * N_T * (N_T - 1) // 2,
        "n_free": 2 * n + len(names),
        "sigma": record.sigma,
        "converged": True,
        "message": "The fit converged after 7 passes over the data.",
        "warnings": [],
        "basins": [],
        "misfit": {"detected": False, "excess": {}, "angles": [], "frames": [], "sentence": ""},
        "n_evaluations": 7,
    }
    if laminar:
        nlsq["flow_test"] = {
            "delta_chi2": 3.0,
            "delta_chi2_effective": 0.2,
            "degrees_of_freedom": 4,
            "p_value": 0.99,
            "detected": detected,
            "direction_open": False,
            "sentence": "A sentence.",
        }
    write_json(folder / "nlsq.json", nlsq)
    write_calibration(folder, nlsq, n)
    write_posterior(folder, nlsq, names, coefficients, n_shards)


def write_calibration(folder, nlsq, n_phi):
    errors = {name: 2.0 * entry["error"] for name, entry in nlsq["parameters"].items()}
    errors |= dict.fromkeys(nlsq["coefficients"], 0.002)
    content = {
        "noise": "speckle",
        "note": "The residuals scatter as speckles and photons make them.",
        "sentence": "Errors are 2 to 2 times as large as those of independent entries of c2.",
        "pixels": [400.0] * n_phi,
        "bin_pixels": [1234] * n_phi,
        "pixels_note": None,
        "counts": [1.5] * n_phi,
        "effective_counts": [1.5] * n_phi,
        "stripes": 3.0,
        "errors": errors,
        "ratios": dict.fromkeys(errors, 2.0),
        "covariance": {"names": list(errors), "matrix": np.diag(np.square(list(errors.values())))},
        "names": list(errors),
        "information": np.diag(np.square(list(errors.values())) ** -1),
        "assumed": np.diag(4 * np.square(list(errors.values())) ** -1),
    }
    write_json(folder / "calibration.json", content)


def write_posterior(folder, nlsq, names, coefficients, n_shards):
    rng = np.random.default_rng(5)
    shape = (4, 100)
    centres = {name: TRUTH[name] for name in names} | {"noise_scale": 1.0} | coefficients
    draws = {name: rng.normal(value, 0.02 * abs(value), shape) for name, value in centres.items()}
    independent = {name: centres[name] + 0.5 * (sample - centres[name]) for name, sample in draws.items()}
    stats = {"diverging": np.zeros(shape), "energy": rng.normal(size=shape)}
    write_draws(
        folder / "posterior.nc",
        draws,
        [stats] * n_shards,
        None if n_shards == 1 else stats["energy"],
    )
    reports = []
    for shard in range(n_shards):
        sd = {name: 0.01 * np.sqrt(n_shards) * abs(value) for name, value in centres.items()}
        mean = {name: rng.normal(value, sd[name]) for name, value in centres.items()}
        diagnostics = chain_diagnostics(draws, stats) | {
            "attempts": 1,
            "n_warmup": 100,
            "jumps": False,
            "node_share": 0.999,
            "converged": True,
            "reasons": [],
        }
        reports.append({"shard": shard, **diagnostics, "mean": mean, "sd": sd})
    worst = {name: reports[0][name] for name in ("r_hat", "ess_bulk")}
    prior_sd = {name: 10.0 * abs(value) for name, value in centres.items()}
    fit = Fit.read(folder / "nlsq.json")
    parameter_rows(fit, draws, worst, prior_sd, independent).to_csv(folder / "parameters.csv", index=False)
    write_json(
        folder / "cmc.json",
        {
            "method": "nuts",
            "status": "converged",
            "n_shards": n_shards,
            "n_converged": n_shards,
            "n_chains": 4,
            "n_draws": 100,
            "led_by_prior": [],
            "warnings": [],
            "failed": [],
            "pareto_k": 0.31 if n_shards > 1 else None,
            "agreement": {"chi2": 7.5, "dof": 7 * (n_shards - 1), "p_value": 0.38} if n_shards > 1 else None,
            "shards": reports,
        },
    )


def notebook_cells():
    """The code of the report's notebook, a cell each, without that of its parameters."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][1:]


def paths_in(folder):
    names = {"posterior": "posterior.nc", "parameters": "parameters.csv", "c2": "c2.h5"}
    names |= {name: f"{name}.json" for name in ("scaling", "nlsq", "cmc", "calibration")}
    return {name: str(folder / file) for name, file in names.items()} | {"truth": None}


class PageTexts(HTMLParser):
    """Texts by tag, attributes of images, links, levels of headings."""

    def __init__(self, page):
        super().__init__()
        self.found, self.images, self.links, self.levels, self._open = {}, [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.images.append(attributes)
        if tag in ("h1", "h2", "h3", "h4"):
            self.levels.append(int(tag[1]))
        self.links += [attributes[name] for name in ("href", "src", "data", "action") if name in attributes]
        if tag in ("title", "h1", "h2", "p", "td", "figcaption", "li"):
            self._open.append(tag)
            self.found.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        for tag in self._open:
            self.found[tag][-1] += data


def texts(page):
    return PageTexts(page).found


def pdf_text(content: bytes) -> str:
    """Objects of a PDF, those in compressed streams too."""
    parts = [content]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream))
        except zlib.error:
            continue  # an image in a format of its own
    return b"\n".join(parts).decode("latin-1")


def assert_fonts_are_embedded(text: str):
    """Each font is a subset that the file brings along, in outlines that programs can edit."""
    names = re.findall(r"/BaseFont\s*/(\S+)", text)
    assert names
    assert all(re.match(r"[A-Z]{6}\+", name) for name in names), names
    assert len(re.findall(r"/Type\s*/FontDescriptor", text)) == len(re.findall(r"/FontFile\d? ", text)) > 0
    assert "/Type3" not in text
