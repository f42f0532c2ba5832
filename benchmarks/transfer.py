"""100 MB up and down, by the tools and by httpx2 alone: throughput and peak memory (:mod:`benchmarks.files`)."""

from __future__ import annotations

from statistics import median

from benchmarks import files
from benchmarks.figures import MB, Section, summary


def sections(*, quick: bool = False) -> dict[str, Section]:
    """All four in turn, several times."""
    runs_of: dict[str, list[tuple[float, float]]] = {name: [] for name in files.RUNS}
    with files.hosted() as url:
        for _ in range(2 if quick else 7):
            for name in files.RUNS:
                runs_of[name].append(files.run(name, url, 100 * MB))
    rows = [
        [name, summary([rise for rise, _ in runs], 1), summary([100 / seconds for _, seconds in runs])]
        for name, runs in runs_of.items()
    ]
    rise = max(median(each for each, _ in runs) for name, runs in runs_of.items() if "httpx2" not in name)
    return {
        "files": Section(
            "100 MB up and down",
            ["what", "peak above the warm process, MB", "MB/s"],
            rows,
            f"Streamed both ways: the peak rises by {rise:.1f} MB at most, whatever the size of the file.",
            {"rise_mb": rise},
        )
    }
