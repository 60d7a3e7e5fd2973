"""What this repository binds its claims to; see fixtures/."""

pytest_plugins = ["fixtures.subjects", "fixtures.theorems"]
