"""Scientific claims about transformers, put on trial with pytest.

The flow, one direction, each arrow one function (docs/decisions/0001-flow.md)::

    claims.yaml --load_claims--> Claim --build_plan--> Plan --run_pass--> Trace (stored)
    Trace --metric--> Sample --statistic--> Fit --judge--> Judgement --journal--> reports

Importing this package imports nothing heavy: pytest loads the plugin in every project where it is installed.
"""

__version__ = "0.2.0"
