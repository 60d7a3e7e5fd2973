"""What the server of `forked` imports before it forks: what a run that measures tiny models has imported by its end.

And what a process reads once and keeps: the packaged rows, the page's templates, the constants that Hypothesis finds in
the engine's source. Modules of pytest's plugins that others import are marked, else pytest complains that it cannot
rewrite their assertions. No thread is started.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import pkgutil
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import notice_initialization_restarted

HEAVY = (
    *("forked", "_pytest.junitxml", "_pytest.terminal", "accelerate", "asyncio", "execnet", "gguf", "hypothesis"),
    *("jinja2", "mpmath", "numpy", "pandas", "psutil", "pyarrow.parquet", "pygments.lexers.python", "pytest"),
    *("rich.console", "rich.table", "safetensors.torch", "scipy.optimize", "scipy.stats", "statsmodels.api", "sympy"),
    *("torch", "torch._dynamo", "torch.nn.attention.flex_attention", "typer", "xml.etree.ElementTree", "yaml"),
    *("transformers.integrations.gguf", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("gpt2", "gptj", "gpt_neox", "llama", "opt")),
)
# Collected as tests; imported as plugins; needs triton, which is not everywhere.
LEFT_OUT = (
    *("refutable.suite", "refutable.plugin", "refutable.pytest_plugin.hooks"),
    "refutable.measurement.instrument.reduce_kernel",
)


def preload() -> None:
    """Import it all, and keep it out of the way of garbage collection."""
    for name in HEAVY:
        importlib.import_module(name)
    engine = importlib.import_module("refutable")
    for module in pkgutil.walk_packages(engine.__path__, "refutable."):
        if not module.name.startswith(LEFT_OUT):
            importlib.import_module(module.name)
    _read_once()
    plugins = {"refutable"} | {
        file.parts[0].removesuffix(".py")
        for distribution in importlib.metadata.distributions()
        if distribution.entry_points.select(group="pytest11")
        for file in distribution.files or ()
        if file.suffix == ".py"
    }
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in plugins:
            module.__doc__ = f"{module.__doc__ or ''}\nPYTEST_DONT_REWRITE"
    gc.collect()
    gc.freeze()


def _read_once() -> None:
    from refutable.models.registry import load_registry
    from refutable.reports.page import render

    load_registry()
    for template in Path(render.__file__).with_name("templates").glob("*.html"):
        render._environment().get_template(template.name)

    @settings(database=None, derandomize=True)
    @given(st.integers())
    def read_constants(_: int) -> None:
        pass

    read_constants()
    notice_initialization_restarted(warn=False)  # else its plugin warns of slow code before it


try:
    preload()
except ImportError as error:  # the server would go on without
    raise RuntimeError(f"cannot preload: {error}") from error
