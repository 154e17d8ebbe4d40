"""One fit in a process of its own, measured from its first line: called by bench_nlsq.py, prints one line of JSON."""

import json
import resource
import sys
import time
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE))


def engine(record, mode, start, n_starts):
    """Our fit; also once more in the warm process, its nodes, and one evaluation."""
    from homodyne_lib.fitting.nlsq import fit_nlsq
    from homodyne_lib.likelihood.compression import compress
    from homodyne_lib.likelihood.problem import make_problem
    from homodyne_lib.model.model import Model
    from homodyne_lib.model.scaling import per_angle_scaling

    scaling = per_angle_scaling("individual", record.phi)
    problem = make_problem(record, scaling, Model(mode))
    options = {"start": start, "n_starts": n_starts}
    fit = fit_nlsq(problem, **options)
    yield {"evaluations": fit.n_evaluations, "values": fit.values[: len(problem.names)].tolist()} | {
        "errors": fit.errors[: len(problem.names)].tolist(),
        "chi2": fit.chi2,
        "shift": fit.certificate.shift,
        "log_density": fit.certificate.log_density,
    }
    warm = min(_cpu(lambda: fit_nlsq(problem, **options)) for _ in range(3 if problem.n_points < 1e6 else 1))
    evaluation = min(_cpu(lambda: problem.normal_equations(fit.values[: len(problem.names)])) for _ in range(3))
    nodes = min(_cpu(lambda: compress(record)) for _ in range(3))
    copy = min(_cpu(record.c2.copy) for _ in range(3))
    yield {"warm_cpu": warm, "evaluation_ms": 1e3 * evaluation, "nodes_over_copy": nodes / copy}


def dense(record, mode, start, _):
    """SciPy on every pixel, with the kernels' own Jacobian by automatic differentiation."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from scipy.optimize import least_squares

    from homodyne_lib.model.parameters import PARAMETERS, parameter_names
    from homodyne_lib.model.scales import search_bounds, to_search_scale
    from homodyne_lib.spec.jax_backend import compute_g2_scaled

    names, n_phi = parameter_names(mode), record.phi.size
    t = record.dt * jnp.arange(record.c2.shape[1])
    i, j = np.triu_indices(record.c2.shape[1], 1)
    data = record.c2[:, i, j] / record.sigma[:, None]
    log = np.array([PARAMETERS[name].logarithmic for name in names] + [False] * 2 * n_phi)
    gap = record.stator_rotor_gap or 1.0

    def model(v):
        v = jnp.where(log, jnp.exp(jnp.where(log, v, 0.0)), v)
        physical, contrast, offset = v[: len(names)], v[len(names) : -n_phi], v[-n_phi:]
        g2 = compute_g2_scaled(physical, t, t, record.phi, record.bins.reference_q, gap, contrast, offset, record.dt)
        return (g2[:, i, j] / record.sigma[:, None]).ravel()

    value, slopes = jax.jit(model), jax.jit(jax.jacfwd(model))
    lower, upper = search_bounds(names)
    x0 = to_search_scale(names, np.array([start[name] for name in names]))

    def fit():
        return least_squares(
            lambda v: np.asarray(value(v)) - data.ravel(),
            np.concatenate([x0, np.full(n_phi, 0.2), np.full(n_phi, 1.01)]),
            jac=lambda v: np.asarray(slopes(v)),
            bounds=(np.append(lower, np.full(2 * n_phi, -np.inf)), np.append(upper, np.full(2 * n_phi, np.inf))),
            x_scale="jac",
        )

    found = fit()
    values = np.where(log, np.exp(np.where(log, found.x, 0.0)), found.x)[: len(names)]
    yield {"evaluations": int(found.nfev), "values": values.tolist(), "chi2": 2.0 * float(found.cost)}
    yield {"warm_cpu": _cpu(fit)}


def _cpu(work) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main(method, path, mode, start, n_starts):
    """Fit, and print what it took."""
    from homodyne_lib.io.canonical_file import read_correlations

    wall = time.perf_counter()
    record = read_correlations(path)
    steps = {"engine": engine, "dense": dense}[method](record, mode, json.loads(start) or None, int(n_starts))
    result = next(steps)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result |= {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.perf_counter() - wall,
        "memory_mb": usage.ru_maxrss / 1024,
    }
    for more in steps:
        result |= more
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
