"""Jobs of shards: killed ones are made again and nothing else; broken ones are named, and left out or refused.

What the miniature project draws of them, a notebook draws too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest
import xarray
from workflow_support import (
    N_CHAINS,
    N_DRAWS,
    N_SHARDS,
    ROOT,
    RUN,
    SHARDED,
    SNAKEMAKE,
    WORKFLOW,
    environment,
    files_below,
    jobs_in,
    make_project,
    snakemake,
)

import homodyne_lib as hd
from homodyne_lib.results.posteriors import Posterior
from homodyne_lib.sampling.shard_files import read_shard

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
import combine_shards
import sample_posterior
import sample_shard
import weigh_shard
from shard_support import read_posterior

DRAWS = "results/rest/posterior.nc"
SHARD = "results/rest/shards/{}-of-" + f"{N_SHARDS}.npz"
SETTINGS = {"chains": 2, "warmup": 50, "draws": 100, "target_acceptance": 0.9, "min_good_shards": 0.5}
SCALING = {"per_angle_mode": "individual", "fourier_order": 1}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A project carried to its fit."""
    folder = make_project(tmp_path_factory.mktemp("fitted") / "project", SHARDED)
    done = snakemake(folder, "--cores", "2", "results/rest/nlsq.json", "results/rest/calibration.json")
    assert done.returncode == 0, done.stdout
    return folder


# --- broken shards; three of them, whatever the project's configuration says


class Sampled:
    """Shards of a folder, made by calls of the scripts' functions."""

    def __init__(self, folder, into, *, bounds=None):
        self.results, self.into, self.said = folder / "results/rest", into, []
        self.nlsq = {"bounds": bounds or {}, "fixed": {}}
        self.shards = [into / f"{k}.npz" for k in range(3)]
        for k, path in enumerate(self.shards):
            sample_shard.sample(
                path, self.posterior(k), label=f"shard {k}", seed=k, cmc=SETTINGS, progress=self.said.append
            )

    def posterior(self, shard, n_shards=3):
        files = (self.results / name for name in ("c2.h5", "scaling.json", "nlsq.json"))
        return lambda: read_posterior(*files, shard, n_shards, SCALING, self.nlsq)

    def combine(self, least):
        cmc, terms = SETTINGS | {"min_good_shards": least}, [self.into / f"terms-{k}.npz" for k in range(3)]
        for k, path in enumerate(terms):
            weigh_shard.weigh(self.shards, path, self.posterior(k), shard=k, seed=9, cmc=cmc, progress=self.said.append)
        combine_shards.combine(
            self.shards,
            terms,
            self.results / "nlsq.json",
            self.results / "calibration.json",
            self.into,
            seed=9,
            cmc=cmc,
            nlsq=self.nlsq,
            progress=self.said.append,
        )
        return Posterior.read(self.into)


@pytest.fixture(scope="module")
def torn(fitted, tmp_path_factory):
    """The rows of the second of three shards are no numbers."""
    folder = tmp_path_factory.mktemp("torn") / "project"
    shutil.copytree(fitted, folder)
    with h5py.File(folder / "results/rest/c2.h5", "r+") as file:
        matrices = next(item for item in file.values() if getattr(item, "ndim", 0) == 3)
        matrices[:, 1::3] = np.nan
    return Sampled(folder, tmp_path_factory.mktemp("of-torn"))


def test_a_shard_without_numbers_is_named(torn):
    assert any("Warning: shard 1: c2 at phi = -60 deg holds entries" in text for text in torn.said)
    with pytest.raises(ValueError, match="no finite numbers"):
        read_shard(torn.shards[1])


@pytest.mark.parametrize(
    ("determined", "divergences", "second", "agree", "better"),
    [
        (True, 0, (300, 0.97, False), False, 1),
        (True, 3, (500, 0.985, True), False, 1),
        (False, 0, (500, 0.985, True), False, 1),
        (True, 3, (500, 0.985, True), True, 2),
    ],
)
def test_chains_that_do_not_agree_are_sampled_once_more(
    tmp_path, monkeypatch, determined, divergences, second, agree, better
):
    """With more care; what is kept is the better of the two. Only the sampler is invented."""
    asked, kept = [], []
    reports = [
        {"converged": converged, "max_r_hat": r_hat, "reasons": ["R̂"], "divergences": divergences}
        for r_hat, converged in ((1.02, False), (1.05, agree))
    ]

    def sampled(posterior, *, seed, n_warmup, target_acceptance, adapt_mass, **_):
        asked.append((n_warmup, round(target_acceptance, 6), adapt_mass))
        return SimpleNamespace(x=seed, stats={})

    monkeypatch.setattr("homodyne_lib.steps.sampled.sample_shard", sampled)
    monkeypatch.setattr(
        "homodyne_lib.steps.sampled.chain_diagnostics", lambda by_name, stats: dict(reports[len(asked) - 1])
    )
    monkeypatch.setattr(sample_shard, "write_shard", lambda path, draws, report: kept.append(report))
    posterior = SimpleNamespace(
        determined=determined,
        names=["D0"],
        problem=SimpleNamespace(n_points=1, scaling=SimpleNamespace(names=[])),
        coordinates=SimpleNamespace(natural_draws=lambda x, names: {}),
        node_share=lambda x: 1.0,
    )
    cmc = {"chains": 4, "warmup": 100, "draws": 500, "target_acceptance": 0.9}
    sample_shard.sample(tmp_path / "0.npz", lambda: posterior, label="0", seed=1, cmc=cmc, progress=len)
    assert asked == [(100, 0.9, False) if determined else (300, 0.97, True), second]
    assert kept[-1]["attempts"] == better
    assert kept[-1]["max_r_hat"] == (1.02, 1.05)[better - 1]


def test_the_other_shards_are_combined(torn):
    posterior = torn.combine(0.6)
    report = posterior.report
    assert [shard.shard for shard in report.failed] == [1]
    assert "no finite numbers" in report.failed[0].reason
    assert any(text.startswith("Shard 1 is left out: c2 at phi = -60 deg") for text in report.warnings)
    assert report.status == "not converged"
    assert [shard.shard for shard in report.shards] == [0, 2]
    assert all(np.isfinite(sample).all() for sample in posterior.chains.values())


def test_too_few_shards_are_refused(torn):
    with pytest.raises(
        ValueError, match=r"only 2 of 3 shards can be used, .* a share of 0.8. Shard 1: c2 at phi = -60 deg"
    ):
        torn.combine(0.8)


def test_an_impossible_prior_is_named(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"only 0 of 3 shards .* Shard 0: bounds \[9, 3\] of D0 must rise"):
        Sampled(fitted, tmp_path, bounds={"D0": [9.0, 3.0]}).combine(0.5)


def test_shards_give_the_posterior_of_one(fitted, tmp_path):
    """Three shards against one, 200 draws each: means within 0.4 sd, four errors of their difference."""
    three = Sampled(fitted, tmp_path).combine(1.0)
    assert three.report.pareto_k < 0.7
    assert three.report.agreement.p_value > 1e-4
    results = fitted / "results/rest"
    files = {"data": "nodes.npz", "scaling": "scaling.json", "nlsq": "nlsq.json", "calibration": "calibration.json"}
    (tmp_path / "one").mkdir()
    sample_posterior.sample(
        {name: results / file for name, file in files.items()},
        tmp_path / "one",
        seeds=[5, 9],
        cmc=SETTINGS,
        fourier_order=1,
        nlsq={"bounds": {}, "fixed": {}},
        progress=print,
    )
    one = Posterior.read(tmp_path / "one")
    assert (one.report.agreement, one.report.pareto_k, one.report.failed) == (None, None, [])
    for name, sample in one.chains.items():
        assert abs(three.chains[name].mean() - sample.mean()) < 0.4 * sample.std(), name


# --- through Snakemake


@pytest.fixture(scope="module")
def quiet(fitted, tmp_path_factory):
    """Results of an undisturbed run to the draws."""
    folder = tmp_path_factory.mktemp("quiet") / "project"
    shutil.copytree(fitted, folder)
    done = snakemake(folder, "--cores", "2", DRAWS)
    assert done.returncode == 0, done.stdout
    return folder / "results/rest"


def test_a_notebook_draws_from_shards_what_the_workflow_draws(quiet, tmp_path):
    record = hd.load(quiet.parents[1] / "config/rest.h5", q=0.01, dt=0.1)
    fit = hd.fit(record, "static", starts=16, estimator="least_squares")
    hd.sample(fit, dataset="rest", shards=N_SHARDS, chains=N_CHAINS, warmup=100, draws=N_DRAWS).write(tmp_path)
    for name in ("parameters.csv", "posterior.nc", "cmc.json"):
        assert (tmp_path / name).read_bytes() == (quiet / name).read_bytes(), name


def test_errors_are_calibrated_and_those_of_independent_noise_stand_beside(quiet):
    table = pd.read_csv(quiet / "parameters.csv").set_index("parameter")
    assert table.loc["contrast_0", "error"] > 1.5 * table.loc["contrast_0", "error_independent"]
    with xarray.open_datatree(quiet / "posterior.nc", engine="h5netcdf") as tree:
        drawn = tree["independent"]["contrast_0"].to_numpy()
    assert drawn.std(ddof=1) == pytest.approx(table.loc["contrast_0", "error_independent"])


# --- killed jobs


def samplers_in(folder):
    """Living jobs of the folder that sample a shard."""
    return [process for process in jobs_in(folder) if "sample_shard" in " ".join(process.info["cmdline"])]


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["Snakemake", "both"])
def test_after_a_kill_only_what_is_missing_is_sampled(fitted, quiet, tmp_path, victims):
    folder = tmp_path / "project"
    shutil.copytree(fitted, folder)
    front_door = [*RUN, "--directory", str(folder), "--cores", "1", DRAWS]
    options = {"env": environment(folder.parent), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    first = subprocess.Popen(front_door, **options | {"stdout": subprocess.DEVNULL})
    while len(list((folder / "results/rest/logs").glob("sample_shard.*"))) < N_SHARDS:
        assert first.poll() is None, "the run ended before its second shard began"
        time.sleep(0.02)
    (finished,) = [path for k in range(N_SHARDS) if (path := folder / SHARD.format(k)).exists()]
    kept = finished.stat().st_mtime_ns
    children = psutil.Process(first.pid).children(recursive=True)
    for process in [first, *(child for child in children if "snakemake" in " ".join(child.cmdline()))]:
        if process not in samplers_in(folder):
            os.kill(process.pid, signal.SIGKILL)
    if victims == "both":
        for process in samplers_in(folder):
            process.kill()
    assert first.wait(timeout=120) != 0
    again = subprocess.run(front_door, **options, check=False)
    assert again.returncode == 0, again.stdout
    assert finished.stat().st_mtime_ns == kept, "a finished shard was sampled again"
    assert (folder / DRAWS).read_bytes() == (quiet / "posterior.nc").read_bytes()


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bytes(quiet, tmp_path):
    """One core, Ctrl-C in the fit and in the sampler: the results of the undisturbed run, bit for bit."""
    folder = make_project(tmp_path / "project", SHARDED)
    wanted, results = ("--cores", "1", DRAWS), folder / "results/rest"
    for job in ("fit_nlsq", "sample_shard.1-of-2"):
        interrupt(folder, wanted, results / f"logs/{job}.log")
        assert not (folder / DRAWS).exists()
        assert not [path for path in files_below(results) if "tmp" in path]
    finished = snakemake(folder, *wanted)
    assert finished.returncode == 0, finished.stdout
    for name in ("c2.h5", "scaling.json", "nodes.npz", "nlsq.json", "posterior.nc", "cmc.json", "parameters.csv"):
        assert (results / name).read_bytes() == (quiet / name).read_bytes(), name


def interrupt(folder: Path, arguments: tuple[str, ...], log: Path) -> None:
    """Start a run; once the job with this log has begun, press Ctrl-C: every process of the group gets SIGINT."""
    process = subprocess.Popen(
        [*SNAKEMAKE, *WORKFLOW, "--directory", str(folder), *arguments],
        cwd=folder.parent,
        env=environment(folder.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not log.exists():
        assert process.poll() is None, f"the run ended before {log.name} was there"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
