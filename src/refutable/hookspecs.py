"""The one hook that refutable adds to pytest, for everything that an extension may add.

It is there whether or not claims are on trial, so that a conftest.py that has it harms no other run.
"""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING

from refutable._util.pytest_ini import ini_words

if TYPE_CHECKING:
    from refutable.extensions import Extensions


def pytest_refutable_extend(extensions: Extensions) -> None:
    """Add to what claims can name, before the claims are read.

    ``extensions`` has ``metrics``, ``statistics``, ``theorems``, ``families``, ``passes``, ``prompts``, ``models`` and
    ``reports``; each takes a thing by ``add``. Import what the things are made of inside the hook: it is called only
    where claims are on trial.

    Put this into the conftest.py beside the ini file, and a claim can say ``of: last_stretch``::

        def pytest_refutable_extend(extensions):
            from refutable.metrics import metric

            @extensions.metrics.add
            @metric(unit="norm", tap="block_output, block_input", invariant=("norm-scale", "value-output"))
            def last_stretch(view):
                \"\"\"By how much the last block lengthens the stream; raw, it counts the stream's mean.\"\"\"
                return view.norm("block_output")[:, -1] - view.norm("block_input")[:, -1]

    The ``refutable`` command reads no conftest.py by itself. Name the module in the ini file, and it does::

        refutable_extensions = conftest

    An installed package has an entry point instead, for pytest and for the command::

        [project.entry-points."refutable.extensions"]
        my_package = "my_package.extension:extend"
    """


def extend_without_pytest() -> None:
    """Let installed packages and the modules that the ini file names add what they have, for the command and programs.

    Raises:
        BadInput: as `extensions.load_installed` and `extensions.import_modules`.
    """
    folder, names = ini_words("refutable_extensions")
    if not names and not importlib.metadata.entry_points(group="refutable.extensions"):
        return
    import pytest

    from refutable.extensions import HOOK, extend, import_modules, load_installed

    load_installed()
    plugins = pytest.PytestPluginManager()
    plugins.add_hookspecs(sys.modules[__name__])
    for module in import_modules(names, folder):
        plugins.register(module)
    extend(HOOK, lambda extensions: plugins.hook.pytest_refutable_extend(extensions=extensions))
