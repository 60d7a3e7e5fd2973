"""`refutable view`: the page of a run, of two runs, and a folder of runs on this machine's loopback."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from page_runs import PROVENANCE, estimate, small_run
from typer.testing import CliRunner

from refutable.cli import app
from refutable.cli.serve import HOST
from refutable.cli.view import server_of
from refutable.reports.formats.verdicts_json import json_text
from refutable.reports.journal import Journal, RunResult
from refutable.reports.page.runs import run_lines, runs_in


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder of one's own, with a cache of its own and no ini file above it that names claims."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def saved(run, folder):
    folder.mkdir(parents=True)
    (folder / "verdicts.json").write_text(json_text(run), encoding="utf-8")
    return folder


def later():
    run = small_run()
    flipped = replace(run.rows[0], verdict=run.rows[1].verdict, estimate=estimate(0.9, 0.85, 0.95))
    return RunResult({**PROVENANCE, "started": "2026-11-29T08:00:00+00:00"}, (flipped, *run.rows[1:]))


def view(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments), "--no-open"])


def test_a_run_without_a_journal_is_left_alone_and_its_page_is_kept_in_the_cache(place):
    folder = saved(small_run(), place / "published")
    told = view(folder)
    assert told.exit_code == 0, told.output
    (page,) = (place / "cache" / "pages").glob("*.html")
    assert str(page) in told.output.replace("\n", "")
    assert "6 claims tried on 3 models" in page.read_text()
    assert [one.name for one in folder.iterdir()] == ["verdicts.json"]


def test_a_run_with_a_journal_has_its_page_beside_it_and_is_the_default(place):
    journal = Journal(place / "reports" / "journal.jsonl", PROVENANCE)
    for row in small_run().rows:
        journal.verdict(row)
    journal.close(complete=False)
    assert view().exit_code == 0
    assert "Cut short" in (place / "reports" / "index.html").read_text()


def test_two_runs_are_shown_side_by_side(place):
    a, b = saved(small_run(), place / "a"), saved(later(), place / "b")
    assert view(a, b, "--out", place / "both.html").exit_code == 0
    text = (place / "both.html").read_text()
    assert "1 verdict changed, and 0 estimates moved." in text
    assert text.count('class="interval"') == 2


def test_what_cannot_be_shown_is_said(place):
    told = view("a", "b", "c")
    assert (told.exit_code, "name one, two to compare" in told.output) == (4, True)
    told = view(place / "nothing")
    assert told.exit_code == 4
    assert "nothing" in told.output
    file = saved(small_run(), place / "run") / "verdicts.json"
    assert "name the folder that the run is in" in view(file, "--serve").output


@contextmanager
def served(folder):
    with server_of(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def asked(server, path, host=HOST):
    connection = HTTPConnection(HOST, server.server_address[1], timeout=30)
    try:
        connection.request("GET", path, headers={"Host": f"{host}:{server.server_address[1]}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_folder_of_runs_is_served_to_this_machine_alone(place):
    saved(small_run(), place / "reports" / "runs" / "first")
    saved(later(), place / "reports" / "runs" / "second")
    with served(place / "reports") as server:
        status, index = asked(server, "/")
        assert status == 200
        assert index.index('href="second/"') < index.index('href="first/"')  # the newest first
        status, page = asked(server, "/first/")
        assert (status, "6 claims tried on 3 models" in page) == (200, True)
        status, both = asked(server, "/compare?a=first&b=second")
        assert (status, "1 verdict changed" in both) == (200, True)
        assert asked(server, "/secnd/") == (404, "no run 'secnd' here. Did you mean 'second'?")
        assert asked(server, "/../../etc/passwd")[0] == 404
        assert asked(server, "/", host="evil.example")[0] == 403


def test_the_page_of_a_run_that_goes_on_is_asked_for_again(place):
    run, own = small_run(), place / "reports" / "runs" / "now"
    own.mkdir(parents=True)
    journal = Journal(own / "journal.jsonl", run.provenance)
    journal.verdict(run.rows[0])
    again = '<meta http-equiv="refresh" content="10">'
    with served(place / "reports") as server:
        assert again in asked(server, "/now/")[1]
        os.utime(own / "journal.jsonl", (0, 0))
        assert again not in asked(server, "/now/")[1]
        journal.close(complete=True)
        assert again not in asked(server, "/now/")[1]


def test_runs_of_a_folder(place):
    saved(small_run(), place / "runs" / "one")
    (place / "runs" / "empty").mkdir()
    (place / "runs" / "broken").mkdir()
    (place / "runs" / "broken" / "verdicts.json").write_text("{")
    assert set(runs_in(place)) == {"one", "broken"}
    (line,) = run_lines(runs_in(place / "runs"))
    assert (line.name, line.models, line.commit, line.complete) == ("one", 3, "0123456789ab", True)
    assert ("REFUTED", "✗", 4) in line.counts
