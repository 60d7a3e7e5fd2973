"""Is the microscope in focus? What must be true of every measured subject before any claim about it is believed."""

import numpy as np

from refutable.metrics import METRICS, evaluate
from refutable.traces.trace import CLOSURE_COLUMN, Trace


def test_every_block_closes(trace: Trace) -> None:
    """Every block's output is its input plus the two updates that were read, to the precision of its dtype."""
    found = {"worst": trace.meta["closure_worst"] <= 1, "unread": trace.blocks[CLOSURE_COLUMN].null_count == 0}
    assert all(found.values()), found


def test_every_block_begins_where_the_last_one_ended(trace: Trace) -> None:
    """A block's input is the block before's output: nothing is added to the stream between blocks."""
    view = trace.view("last", centred=False)
    np.testing.assert_allclose(view.norm("block_input")[:, 1:], view.norm("block_output")[:, :-1], rtol=1e-6)


def test_norms_obey_the_law_of_cosines(trace: Trace) -> None:
    """The inner product of a block's input and output, read apart, agrees with the norms and the update's products."""
    view = trace.view("last", centred=False)
    through_updates = (
        view.norm("block_input") ** 2
        + view.product("block_input", "attention_update")
        + view.product("block_input", "mlp_update")
    )
    eps = {"float32": 2e-6, "bfloat16": 4e-2, "float16": 4e-3}[trace.meta["dtype"]]
    scale = view.norm("block_input") * (view.norm("block_output") + view.norm("block_input"))
    assert np.all(np.abs(view.product("block_input", "block_output") - through_updates) <= eps * scale)


def test_attention_entropy_lies_between_nothing_and_uniform(trace: Trace) -> None:
    """The share of the largest possible entropy lies in [0, 1]."""
    share = evaluate("attention_entropy_normalised", trace).values
    assert np.all((share >= -1e-6) & (share <= 1 + 1e-6))


def test_every_metric_is_finite(trace: Trace) -> None:
    """No metric of a trace that was kept is NaN or infinite; those of other passes refuse what has not converged."""
    read = [name for name in METRICS if METRICS[name].reads == "forward"]
    faults = [name for name in read if not np.isfinite(evaluate(name, trace).values).all()]
    assert faults == []
