"""Compiled programs are kept for the next job, and change no draw."""

import os
import subprocess
import sys

from compiled_programs import cache_settings
from workflow_support import ROOT

CODE = """
import hashlib, sys
sys.path[:0] = ["tests", "."]
from white_noise import TRUTH, problem_of
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.sampling.nuts import sample_shard
from homodyne_lib.sampling.posterior import ShardPosterior
for n in (30, 30):
    problem, _ = problem_of("static", n=n, phi=(0.0, 60.0), seed=int(sys.argv[1]))
    start = dict(zip(problem.names, TRUTH["static"], strict=True))
    posterior = ShardPosterior(problem, fit_nlsq(problem, start=start, n_starts=0).values)
    draws = sample_shard(posterior, seed=1, n_warmup=20, n_draws=30, n_chains=1)
    print(hashlib.sha256(draws.x.tobytes()).hexdigest())
"""


def test_another_record_of_the_size_compiles_nothing_and_draws_do_not_depend_on_what_is_kept(tmp_path):
    def run(seed):
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(seed)],
            cwd=ROOT,
            env=os.environ | cache_settings(tmp_path),
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        return done.stdout.split(), {path.name for path in tmp_path.rglob("*-cache")}

    (draws, again), kept = run(1)
    assert draws == again
    assert any("block" in name for name in kept)
    assert run(2)[1] == kept
    assert run(1) == ([draws, draws], kept)


def test_a_folder_that_cannot_be_written_to_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    assert cache_settings(tmp_path) == {}
