"""Agreement and aggregators: their speed and memory against the peers', and how right they are on real crowds.

The folder of real crowds is ../shared/data/crowd beside the checkout; without it its rows say so.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench.crowd_peers import measured

from annotate.answer_files import read, read_gold
from tasks.aggregators import METHODS, aggregate, dawid_skene
from tasks.aggregators.scores import score

Rows = Iterator[tuple[str, str, str, str]]

CROWD = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowd"
CLASSES = (
    *("bluebird", "rte", "wsd", "dog", "cf", "cf_amt", "music", "sentiment"),
    *("barzan", "zencrowd_in", "product", "sp", "adult", "trec", "relevance"),
)
EMOTIONS = ("anger", "disgust", "fear", "sadness", "valence")
COMPARISONS = 100_000
MATRIX_BYTES = 4_000_000_000
"""What the peer's table of workers × items needs at a million answers."""
ITERATIONS = 20
NOT_INSTALLED = "not installed"


def speed() -> Rows:
    """Compare the fit, alpha and the scores of comparisons with the peers."""
    for answers in (100_000, 1_000_000):
        yield from _fit(answers)
    five = measured("ours", "fit", 5_000_000, "single")
    if five:
        yield (
            "Dawid–Skene, 5,000,000 answers, memory",
            f"{five['memory'] / 1e6:,.0f} MB",
            "",
            "1,000 MB aim",
        )
    yield from _alpha(1_000_000)
    ours, theirs = measured("ours", "pairs", COMPARISONS), measured("peer", "pairs", COMPARISONS)
    yield _against(f"Bradley–Terry, {COMPARISONS:,} comparisons", ours, theirs, "crowd-kit")
    if ours and theirs:
        yield (
            "  rank correlation with the truth",
            f"{ours['rho']:.4f}",
            f"{theirs['rho']:.4f} crowd-kit",
            "",
        )


def equality() -> Rows:
    """Hold the maximum-likelihood fit against crowd-kit's, iteration for iteration, on real crowds."""
    worst, falls, compared = 0.0, 0, 0
    for name in CLASSES if CROWD.is_dir() else ():
        answers = read(CROWD / name / "answers.csv").answers
        made = dawid_skene(answers, pseudo_answers=0, iterations=ITERATIONS)
        falls += sum(
            after < before - 1e-9 * abs(before) for before, after in itertools.pairwise(made.likelihood)
        )
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, np.stack([answers.item, answers.worker, answers.label], axis=1))
            theirs = measured("peer", "posterior", file.name, ITERATIONS)
        if theirs:
            compared += 1
            worst = max(worst, float(np.abs(np.array(theirs["posterior"]) - made.posterior).max()))
    said = f"{worst:.0e} on {compared} crowds" if compared else NOT_INSTALLED
    yield (f"ML fit, {ITERATIONS} iterations, difference to crowd-kit", said, "", "1e-08 aim")
    yield ("ML fit, falls of the likelihood", str(falls), "", "0 aim")


def rightness() -> Rows:
    """Say how right the defaults are where gold is known."""
    if not CROWD.is_dir():
        yield ("real crowds", "not here", "", "")
        return
    plain, default = (
        {name: _score(name, "class", method) for name in CLASSES} for method in ("majority", "mix")
    )
    mean, votes = (float(np.mean(list(of.values()))) for of in (default, plain))
    yield ("accuracy, mean of 15 crowds, mix", f"{mean:.4f}", f"{votes:.4f} majority", "0.833 aim")
    lost = {name: default[name] - plain[name] for name in CLASSES}
    worst = min(lost, key=lost.__getitem__)
    yield ("  worst crowd against majority", f"{lost[worst]:+.4f} ({worst})", "", "−0.025 aim")
    yield ("spans, F1 of characters", f"{_score('spans_pico_a', 'spans'):.3f}", "", "0.75 aim")
    started = time.process_time()
    yield ("boxes, F1", f"{_score('boxes_a', 'boxes'):.3f}", "", "0.75 aim")
    per_image = (time.process_time() - started) / len(read(CROWD / "boxes_a" / "answers.csv").answers.items)
    yield ("  CPU per image of 9 workers, reading included", f"{per_image * 1000:.1f} ms", "", "20 ms aim")
    speech = _score("text_speech_other_a", "text")
    yield ("speech, word error rate", f"{speech:.4f}", "", "0.120 aim")
    for method in METHODS["number"]:
        r = np.mean([_score(f"emotion_{name}", "number", method) for name in EMOTIONS])
        yield (f"emotions, mean r, {method}", f"{r:.3f}", "", "0.76 aim")


def _fit(answers: int) -> Rows:
    ours, single = measured("ours", "fit", answers), measured("ours", "fit", answers, "single")
    theirs = measured("peer", "fit", answers)
    yield _against(f"Dawid–Skene, {answers:,} answers, one iteration", ours, theirs, "crowd-kit")
    yield _against("  in single precision", single, theirs, "crowd-kit")
    if ours and theirs:
        yield (
            "  memory above input",
            f"{ours['memory'] / 1e6:,.0f} MB",
            f"{theirs['memory'] / 1e6:,.0f} MB crowd-kit",
            f"{theirs['memory'] / ours['memory']:.1f}",
        )
        fifty = 50 * theirs["seconds"]
        share = f"{ours['default'] / fifty:.1%} of it"
        yield (
            "  mix, the default, whole",
            f"{ours['default']:.2f} s",
            f"{fifty:,.0f} s, 50 iterations",
            share,
        )


def _alpha(answers: int) -> Rows:
    ours, counts = measured("ours", "alpha", answers), measured("peer", "alpha", answers)
    roomy = psutil.virtual_memory().available > MATRIX_BYTES
    matrix = measured("peer", "alpha", answers, "matrix") if roomy else None
    yield _against(f"alpha, {answers:,} answers", ours, counts, "krippendorff, counts")
    if roomy:
        yield _against("  against the table of workers × items", ours, matrix, "krippendorff, table")
    else:
        yield ("  against the table of workers × items", "too little memory here", "", "")
    if ours:
        theirs = f"{matrix['memory'] / 1e6:,.0f} MB table" if matrix else ""
        yield ("  memory above input", f"{ours['memory'] / 1e6:,.0f} MB", theirs, "150 MB aim")


def _against(name: str, ours: Any, theirs: Any, who: str) -> tuple[str, str, str, str]:
    if not ours:
        return (name, "could not be measured", "", "")
    said = f"{ours['seconds'] * 1000:,.1f} ms"
    if not theirs:
        return (name, said, f"{who}: {NOT_INSTALLED}", "")
    return (
        name,
        said,
        f"{theirs['seconds'] * 1000:,.1f} ms {who}",
        f"{theirs['seconds'] / ours['seconds']:.1f}",
    )


def _score(name: str, kind: str, method: str | None = None) -> float:
    file = read(CROWD / name / "answers.csv", kind)
    outcome = aggregate(kind, file.answers, file.values, method)
    found = score(kind, outcome, read_gold(CROWD / name / "gold.csv", kind))
    assert found is not None
    return found
