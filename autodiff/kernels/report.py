"""What serves, and why: Numba, threads, and which rung multiplies matrices."""

from __future__ import annotations

from . import gemm, jit, threads


class Report(str):
    """Lines to read, which a prompt shows as they read."""

    __repr__ = str.__str__


def info() -> Report:
    """Which rung multiplies matrices, how many threads there are, whether Numba serves and what it
    has compiled, and why. Imports Numba."""
    missing = jit.unusable()
    if missing:
        version = f"can't be used: {missing}"
    else:
        import numba

        version = numba.__version__
    rung, chosen_by = gemm.in_use()
    count, source = threads.threads_and_source()
    alone = "" if missing else why_one_works_alone()
    lines = [
        f"matmul    {rung} ({chosen_by}); there are {', '.join(gemm.RUNGS)}",
        f"threads   {count} ({source})" + (f", but one works alone: {alone}" if alone else ""),
        f"numba     {version}",
        *(f"compiled  {title} (cache: {folder})" for title, folder in jit.made.items()),
    ]
    return Report("\n".join(lines))


def why_one_works_alone() -> str:
    """Why there is no team of threads, where there should be one."""
    from . import team

    return team.why_alone
