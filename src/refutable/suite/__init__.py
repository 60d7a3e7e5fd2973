"""The claim test for people who bring only a claims file: ``pytest --pyargs refutable.suite --claims my.yaml``."""
