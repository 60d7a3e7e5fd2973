"""Passes: what a test reads, what a trace's key holds, and what the sample source makes of an intervention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from synthetic import make_trace, random_vectors

from refutable.claims import MeasuredTest
from refutable.errors import NotMeasured
from refutable.evidence.plan import pass_for, passes_of
from refutable.evidence.sample_source import SampleSource
from refutable.metrics import evaluate
from refutable.models.subject import Subject
from refutable.traces.passes import PASSES, Change, Pass
from refutable.verdicts.falsifiability.vacuity import is_vacuous


def a_test(**changes: Any) -> MeasuredTest:
    return MeasuredTest.model_validate({"statistic": "mean", "of": "last_gain", "predicts": "< 0", **changes})


def test_each_metric_names_its_pass() -> None:
    assert pass_for("last_gain", a_test(), "p") == Pass("forward", "p")
    under = a_test(under="rewire-parallel", blocks="last", against="plain")
    assert passes_of(under, "p") == (Pass("forward", "p", "rewire-parallel", "last"), Pass("forward", "p"))
    both = a_test(statistic="pearson", of=["last_gain", "spectral_radius"], layer="last", predicts="> 0.5")
    assert passes_of(both, "p") == (Pass("forward", "p"), Pass("jacobian", "p", blocks="last"))
    assert pass_for("spectral_radius", a_test(of="spectral_radius", layer="mean"), "p").blocks == "all"
    loss = a_test(of="next_token_loss", under="keep-norm", blocks="last", against="plain")
    assert passes_of(loss, "p") == (Pass("loss", "p", "keep-norm", "last"), Pass("loss", "p"))
    assert pass_for("noise_gain", a_test(of="noise_gain", layer="last"), "p") == Pass("perturbation", "p")


def test_a_key_holds_what_determines_a_pass_and_a_plain_ones_is_what_it_always_was() -> None:
    assert Pass("forward", "p").facts == {"pass": "forward"}
    assert Pass("rotation").facts == {"pass": "rotation"}
    assert Pass("wiring").facts == {"pass": "wiring", "parameters": {"version": 2}}  # 1 watched the MLP alone
    passes = [
        *(Pass("forward", "p", "ablate-mlp", blocks) for blocks in ("all", "last")),
        *(Pass("forward", "p", change) for change in get_args(Change) if change != "ablate-mlp"),
        *(Pass("loss", "p", change) for change in ("none", "keep-norm")),
        *(Pass("loss", "p", "skip-block", blocks) for blocks in ("first", "middle", 1, 2)),
        *(Pass("loss", "p", "zero-coordinate", 1, coordinate=at) for at in (0, 7)),
        *(Pass("jacobian", "p", blocks=blocks) for blocks in ("all", "last")),
        *(Pass(name, "p") for name in ("forward", "heads", "perturbation", "through")),
    ]
    assert len({str(sorted(one.facts.items(), key=str)) for one in passes}) == len(passes)
    assert Pass("perturbation", "p").facts["parameters"] == PASSES["perturbation"].parameters


def source_of(traces: dict[Pass, Any], wiring: str = "sequential", table: Any = None) -> SampleSource:
    """Return a sample source that finds these traces stored."""
    row = SimpleNamespace(architecture=SimpleNamespace(wiring_of=lambda config: wiring))
    selection: Any = SimpleNamespace(registry={"made": row})
    keys = {one: str(i) for i, one in enumerate(traces)}
    store: Any = SimpleNamespace(get=lambda key: next((t for o, t in traces.items() if keys[o] == key), None))

    class Made(SampleSource):
        def find_weights(self, subject: Any, one: Any, *, download: bool = True) -> Any:
            return SimpleNamespace(config={})

        def key(self, subject: Any, source: Any, one: Pass) -> str:
            return keys[one]

    return Made(selection, SimpleNamespace(), store, table, Path())  # type: ignore[arg-type]


def test_against_plain_is_the_paired_difference_a_prompt() -> None:
    plain, changed = make_trace(random_vectors(seed=1)), make_trace(random_vectors(seed=2))
    source = source_of({Pass("forward", "p"): plain, Pass("forward", "p", "ablate-mlp"): changed})
    subject = Subject("made")
    (difference,) = source.samples(a_test(under="ablate-mlp", against="plain"), "p", subject)
    (alone,) = source.samples(a_test(under="ablate-mlp"), "p", subject)
    one, two = evaluate("last_gain", changed).values, evaluate("last_gain", plain).values
    np.testing.assert_array_equal(difference.values, one - two)
    np.testing.assert_array_equal(alone.values, one)
    assert difference.unit == "prompt"


def test_against_another_intervention_is_the_paired_difference_of_both() -> None:
    first, last = make_trace(random_vectors(seed=1)), make_trace(random_vectors(seed=2))
    specs = (Pass("forward", "p", "ablate-mlp", 1), Pass("forward", "p", "ablate-attention", (1, 2)))
    source = source_of(dict(zip(specs, (first, last), strict=True)))
    test = a_test(under="ablate-mlp", blocks=1, against={"under": "ablate-attention"})
    other = a_test(under="ablate-attention", blocks=[1, 2])
    assert passes_of(test, "p") == (specs[0], replace(specs[1], blocks=1))
    assert passes_of(other, "p") == (specs[1],)
    of_blocks = a_test(under="ablate-attention", blocks=[1, 2], against={"blocks": "last"})
    assert passes_of(of_blocks, "p") == (specs[1], replace(specs[1], blocks="last"))
    swapped = source_of({specs[0]: first, replace(specs[1], blocks=1): last})
    (difference,) = swapped.samples(test, "p", Subject("made"))
    one, two = (evaluate("last_gain", trace).values for trace in (first, last))
    np.testing.assert_array_equal(difference.values, one - two)
    assert source.samples(other, "p", Subject("made"))[0].n == 3


def test_to_rewire_a_model_to_what_it_is_is_not_measured() -> None:
    source = source_of({Pass("forward", "p", "rewire-sequential"): make_trace(random_vectors())})
    with pytest.raises(NotMeasured, match="is wired sequential as it is"):
        source.samples(a_test(under="rewire-sequential"), "p", Subject("made"))


def test_a_table_of_measurements_holds_no_interventions() -> None:
    source = source_of({}, table=SimpleNamespace(name="published.csv"))
    with pytest.raises(NotMeasured, match=r"published\.csv holds measurements of models as they are"):
        source.samples(a_test(under="ablate-mlp"), "p", Subject("made"))


def test_a_refused_pass_is_remembered_and_leaves_the_others_alone() -> None:
    source = source_of({Pass("forward", "p"): make_trace(random_vectors()), Pass("heads", "p"): None})
    source._refused[source.key(None, None, Pass("heads", "p"))] = NotMeasured("a norm follows")
    heads = replace_test(a_test(), of=("head_coherence",))
    with pytest.raises(NotMeasured, match="a norm follows"):
        source.samples(heads, "p", Subject("made"))
    assert source.samples(a_test(), "p", Subject("made"))[0].n == 3


def replace_test(test: MeasuredTest, **changes: Any) -> MeasuredTest:
    return test.model_copy(update=changes)


def test_what_any_difference_satisfies_is_vacuous_and_what_any_ratio_does_is_not() -> None:
    assert is_vacuous(a_test(of="top_probability", predicts="within [-1, 1]", under="ablate-mlp", against="plain"))
    assert not is_vacuous(a_test(of="top_probability", predicts=">= 0", under="ablate-mlp", against="plain"))
    assert is_vacuous(a_test(of="top_probability", predicts=">= 0", under="ablate-mlp"))
    other = {"under": "ablate-attention"}
    assert not is_vacuous(
        a_test(of="top_probability", predicts="within [-0.1, 0.1]", under="ablate-mlp", against=other)
    )


def test_a_pass_has_a_title_for_the_report() -> None:
    assert Pass("forward", "p", "ablate-mlp").title == "forward under ablate-mlp of every block"
    assert replace(Pass("forward", "p", "ablate-mlp"), blocks="last").title.endswith("of the last block")
    assert Pass("loss", "p", "skip-block", 5).title == "loss under skip-block of block 5"
    assert Pass("loss", "p", "swap-blocks", "middle").title == "loss under swap-blocks of the middle block and the next"
    zeroed = Pass("loss", "p", "zero-coordinate", "first", coordinate=7)
    assert zeroed.title == "loss under zero-coordinate (7) of the first block"
    assert Pass("loss", "p", "zero-weight", (3, 16, 17, 18)).title == "loss under zero-weight of blocks 3, 16 to 18"
    assert (
        Pass("loss", "p", "skip-block", "later-half").title == "loss under skip-block of the later half of the blocks"
    )
    assert Pass("heads", "p").title == "heads"
    assert Pass("forward", "p", "shuffle-tokens").title == "forward under shuffle-tokens"
