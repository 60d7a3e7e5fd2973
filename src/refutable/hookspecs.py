"""The one hook that refutable adds to pytest, for everything that an extension can add.

It is registered even when no claims are on trial, so a conftest.py that implements it breaks no other run.
"""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING

from refutable._util.pytest_ini import ini_words

if TYPE_CHECKING:
    from refutable.extensions import Extensions


def pytest_refutable_extend(extensions: Extensions) -> None:
    """Add things that claims can name, before the claims are read.

    ``extensions`` has ``metrics``, ``statistics``, ``theorems``, ``families``, ``passes``, ``prompts``, ``models``,
    ``reports`` and ``figures``, each with an ``add`` method. Do your imports inside the hook: it is called only when
    claims are on trial.

    Put this into the conftest.py beside the ini file, and a claim can say ``of: last_stretch``::

        def pytest_refutable_extend(extensions):
            from refutable.metrics import metric

            @extensions.metrics.add
            @metric(unit="norm", tap="block_output, block_input", invariant=("norm-scale", "value-output"))
            def last_stretch(view):
                \"\"\"By how much the last block lengthens the stream; raw, it counts the stream's mean.\"\"\"
                return view.norm("block_output")[:, -1] - view.norm("block_input")[:, -1]

    The ``refutable`` command does not read conftest.py unless the ini file names it::

        refutable_extensions = conftest

    An installed package uses an entry point instead, which serves pytest and the command::

        [project.entry-points."refutable.extensions"]
        my_package = "my_package.extension:extend"
    """


def extend_without_pytest() -> None:
    """Load the extensions of installed packages and of the modules that the ini file names, without a pytest run.

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
