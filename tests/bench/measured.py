"""One measurement of arithmetic, as a program: `measured.py WHO WHAT …` prints CPU seconds and memory as JSON.

It runs under our interpreter (who: ours) and under that of the peers (who: peer), so each part is imported where it is
used. Both get the same codes, made by the same seed; memory is what the process needed at most above its input.
"""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 8
REDUNDANCY = 5
ANSWERS_PER_WORKER = 1000
FIRST, LAST = 1, 4
SIDES = 5000


def codes(answers: int) -> tuple[Any, Any, Any]:
    """Make the answers of a crowd that is mostly right: item, worker, label."""
    random = np.random.default_rng(0)
    items, workers = answers // REDUNDANCY, max(10, answers // ANSWERS_PER_WORKER)
    item = np.repeat(np.arange(items), REDUNDANCY)
    first = random.integers(0, workers, items)
    step = 1 + random.integers(0, max(1, workers // REDUNDANCY - 1), items)
    worker = ((first[:, None] + np.arange(REDUNDANCY) * step[:, None]) % workers).ravel()
    truth, skill = random.integers(0, CLASSES, items), random.uniform(0.4, 0.95, workers)
    right = random.random(answers) < skill[worker]
    return item, worker, np.where(right, truth[item], random.integers(0, CLASSES, answers))


def comparisons(number: int) -> tuple[Any, Any, Any, Any]:
    """Make comparisons: left, right, whether the left one won, and the true scores."""
    random = np.random.default_rng(0)
    score = random.normal(0, 1, SIDES)
    left = random.integers(0, SIDES, number)
    right = (left + random.integers(1, SIDES, number)) % SIDES
    return left, right, random.random(number) < 1 / (1 + np.exp(score[right] - score[left])), score


def named(answers: int) -> list[list[str]]:
    """Give the columns of such a crowd with names, as files hold them."""
    return [[f"{code:07}" for code in column.tolist()] for column in codes(answers)]


def ours_table(answers: int) -> Any:
    """Give the product's table, without lists whose memory the fit could use again."""
    from tasks.agreement import Answers

    item, worker, label = codes(answers)
    items, workers, labels = ([f"{at:07}" for at in range(code.max() + 1)] for code in (item, worker, label))
    return Answers.of_codes(items, workers, labels, item, worker, label)


def peer_frame(columns: Any) -> Any:
    """Give crowd-kit's table."""
    import pandas as pd

    return pd.DataFrame(dict(zip(("task", "worker", "label"), columns, strict=True)))


def ours_fit(answers: int, single: str = "") -> dict[str, float]:
    """Time one iteration of the fit, and the default method whole."""
    from tasks.aggregators import dawid_skene, mix

    table = ours_table(answers)
    dtype = np.float32 if single else np.float64

    def run(iterations: int) -> None:
        dawid_skene(table, pseudo_answers=0, iterations=iterations, dtype=dtype)

    return per_iteration(run) | ({} if single else {"default": cpu(lambda: mix(table))})


def peer_fit(answers: int) -> dict[str, float]:
    """Time one iteration of crowd-kit's fit."""
    from crowdkit.aggregation import DawidSkene

    frame = peer_frame(named(answers))
    return per_iteration(lambda iterations: DawidSkene(n_iter=iterations, tol=-1e300).fit(frame))


def ours_alpha(answers: int) -> dict[str, float]:
    """Time nominal alpha."""
    from tasks.agreement import alpha

    table = ours_table(answers)
    before = resident()
    seconds = cpu(lambda: alpha(table))
    return {"seconds": seconds, "memory": peak() - before, "value": alpha(table).value or 0.0}


def peer_alpha(answers: int, matrix: str = "") -> dict[str, float]:
    """Time krippendorff's alpha from counts, or from its table of workers × items."""
    import krippendorff

    item, worker, label = codes(answers)
    before = resident()

    def run() -> float:
        if matrix:
            table = np.full((worker.max() + 1, item.max() + 1), np.nan)
            table[worker, item] = label
            return float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))
        cell = item * CLASSES + label
        counts = np.bincount(cell, minlength=(item.max() + 1) * CLASSES).reshape(-1, CLASSES)
        return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))

    started = time.process_time()
    value = run()
    return {"seconds": time.process_time() - started, "memory": peak() - before, "value": value}


def ours_pairs(number: int) -> dict[str, float]:
    """Time our scores from comparisons."""
    from tasks.aggregators.pairs import bradley_terry
    from tasks.agreement import Answers

    left, right, won, score = comparisons(number)
    names = [f"{at:05}" for at in range(SIDES)]
    pairs, pair = np.unique(left * SIDES + right, return_inverse=True)
    items = [json.dumps([names[code // SIDES], names[code % SIDES]]) for code in pairs.tolist()]
    table = Answers.of_codes(
        items,
        [f"{at:07}" for at in range(number)],
        names,
        pair,
        np.arange(number),
        np.where(won, left, right),
    )
    made = bradley_terry(table, table.classes)
    seconds = cpu(lambda: bradley_terry(table, table.classes))
    known = {name: value for name, value in zip(made.items, made.labels, strict=True)}  # noqa: C416
    return {"seconds": seconds, "rho": rank_correlation([known.get(name, 0) for name in names], score)}


def peer_pairs(number: int) -> dict[str, float]:
    """Time crowd-kit's scores."""
    import pandas as pd
    from crowdkit.aggregation import BradleyTerry

    left, right, won, score = comparisons(number)
    frame = pd.DataFrame({"worker": 0, "left": left, "right": right, "label": np.where(won, left, right)})
    made = BradleyTerry(n_iter=100).fit_predict(frame)
    seconds = cpu(lambda: BradleyTerry(n_iter=100).fit_predict(frame))
    return {
        "seconds": seconds,
        "rho": rank_correlation([made.get(at, 0.0) for at in range(SIDES)], score),
    }


def peer_posterior(path: str, iterations: str) -> dict[str, Any]:
    """Give crowd-kit's distributions for codes in a file, after so many iterations."""
    from crowdkit.aggregation import DawidSkene

    table = np.load(path)
    fitted = DawidSkene(n_iter=int(iterations), tol=-1e300).fit(peer_frame(table.T))
    probas = fitted.probas_.sort_index(axis=0).sort_index(axis=1)
    return {"posterior": probas.to_numpy().tolist()}


def per_iteration(run: Any) -> dict[str, float]:
    """Time what one iteration more costs, and the memory of a run."""
    before = resident()
    first = cpu(lambda: run(FIRST))
    return {"seconds": (cpu(lambda: run(LAST)) - first) / (LAST - FIRST), "memory": peak() - before}


def cpu(run: Any, times: int = 2) -> float:
    """Give the least CPU seconds of some runs."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def rank_correlation(one: Any, other: Any) -> float:
    """Give Spearman's rho of values that hardly tie."""
    ranks = np.array([np.argsort(np.argsort(np.asarray(values, dtype=float))) for values in (one, other)])
    return float(np.corrcoef(ranks)[0, 1])


def resident() -> int:
    """Give the bytes in memory now, from which on the peak is counted."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def peak() -> int:
    """Give the most bytes that were in memory since then."""
    return _status("VmHWM")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0


MEASUREMENTS = {
    ("ours", "fit"): ours_fit,
    ("peer", "fit"): peer_fit,
    ("ours", "alpha"): ours_alpha,
    ("peer", "alpha"): peer_alpha,
    ("ours", "pairs"): ours_pairs,
    ("peer", "pairs"): peer_pairs,
    ("peer", "posterior"): peer_posterior,
}


if __name__ == "__main__":
    measurement = MEASUREMENTS[sys.argv[1], sys.argv[2]]
    first, *rest = sys.argv[3:]
    print(json.dumps(measurement(int(first) if first.isdigit() else first, *rest)))  # type: ignore[operator]  # noqa: T201
