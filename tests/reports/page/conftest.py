"""A page in Debian's Chromium, driven by Playwright; without either, the tests of the page say so and are skipped."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace

import pytest
from page_runs import large_run, small_run, table_run

from refutable.reports.beside import Beside
from refutable.reports.formats.index_html import page_html
from refutable.traces.store import Store


@pytest.fixture(scope="session")
def chromium():
    """Yield a browser."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """Return the page of `small_run` with a table's verdicts, as a file."""
    folder = tmp_path_factory.mktemp("page")
    run = replace(small_run(), beside=Beside(on_tables=table_run()))
    file = folder / "index.html"
    file.write_text(page_html(run, Store(folder / "cache")), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def large_file(tmp_path_factory):
    """Return the page of 200 claims on 25 models, as a file."""
    folder = tmp_path_factory.mktemp("large")
    file = folder / "index.html"
    file.write_text(page_html(large_run(), Store(folder / "cache")), encoding="utf-8")
    return file


@pytest.fixture
def opened(chromium, page_file):
    """Yield a function that opens the page at an address, and fails the test if anything is asked for or goes wrong."""
    pages, requests, problems = [], [], []

    def open_(address: str = "", file=page_file, **options):
        page = chromium.new_page(**options)
        pages.append(page)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(file.as_uri() + address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    outside = [url for url in requests if not url.startswith(("file:", "data:"))]
    for page in pages:
        with suppress(Exception):
            page.close()
    assert (outside, problems) == ([], [])
