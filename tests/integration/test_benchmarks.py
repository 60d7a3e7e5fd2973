"""The benchmarks' own commands: judging without torch, and faults that the tests see."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from places import ROOT

from benchmarks.mutants import mutants_of


def run(*command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_judging_stored_traces_needs_no_torch_and_decides_what_it_is_given():
    done = run("benchmarks.judging", "--claims", "4", "--models", "2", "--controls")
    assert done.returncode == 0, done.stderr
    assert "without torch" in done.stdout
    assert "SUPPORTED" in done.stdout
    assert "ERROR" not in done.stdout
    assert "NOT_MEASURED" not in done.stdout


def test_a_mutant_differs_from_its_source_in_one_place_that_it_names():
    source = """\
def decide(fit, alpha: Literal["above"]):
    '''above'''
    if fit.n < 2:
        raise ValueError("few")
    return fit.lower(alpha / 2) + 1 > 0 or fit.p(alpha, "above") == "a" + "b"
"""
    found = {(one.line, one.change) for one in mutants_of(source)}
    assert found == {
        (3, "fit.n < 2 -> fit.n <= 2"),
        (3, "if fit.n < 2:     raise ValueError('few') -> if fit.n < 2:     pass"),
        (5, "fit.lower -> fit.upper"),
        (5, "alpha / 2 -> alpha / 1"),
        (5, "fit.lower(alpha / 2) + 1 -> fit.lower(alpha / 2) - 1"),
        (5, "fit.lower(alpha / 2) + 1 > 0 -> fit.lower(alpha / 2) + 1 >= 0"),
        (5, "fit.p(alpha, 'above') -> fit.p(alpha / 2, 'above')"),
        (5, "'above' -> 'below'"),
        (5, "fit.p(alpha, 'above') == 'a' + 'b' -> fit.p(alpha, 'above') != 'a' + 'b'"),
    }
    assert len({one.source for one in mutants_of(source)}) == 9


@pytest.mark.slow
def test_faults_in_the_calculus_are_seen_by_its_tests():
    done = run("benchmarks.mutation", "--file", "verdicts/quantifiers.py", "--sample", "2", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 mutants: 2 killed" in done.stdout
