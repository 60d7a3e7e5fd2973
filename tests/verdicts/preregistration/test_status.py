"""Pre-registration: what changes a claim's hash, what a lock holds, and what makes a verdict confirmatory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from refutable._util.strict_yaml import parse_yaml
from refutable.claims.cases import cases_of
from refutable.claims.file import claims_from
from refutable.errors import BadInput
from refutable.metrics import METRICS
from refutable.models.registry import ModelRegistry, load_registry
from refutable.statistics import STATISTICS
from refutable.verdicts.judge import Judgement
from refutable.verdicts.preregistration.lockfile import Locked, LockedForm, lock_file, read_lock, updated, write_lock
from refutable.verdicts.preregistration.status import Registrations, hash_of, hashes_of, registration_lines, seen_by_now
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

settings.load_profile("ci")  # no deadline on a busy machine, the same inputs every time

REGISTRY = load_registry()
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CLAIM = """\
schema: 1
claims:
  - id: a
    statement: s
    evidence: measured
    models: [gptj, gpt2]
    test: {statistic: mean, of: last_gain, predicts: "< 1"}
"""


def prompts(name):
    return SimpleNamespace(hash=f"hash of {name}", categories=())


def hash_in(text, registry=REGISTRY, prompts=prompts):
    cases = cases_of(claims_from(parse_yaml(text, "c.yaml")), registry, "c.yaml")
    return hashes_of(cases, prompts)["a"]


# The hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"< 1"', '"< 1.1"'),
        ("statement: s", "statement: t"),
        ("of: last_gain", "of: total_amplification"),
        ("statistic: mean", "statistic: geometric_mean"),
        ("statement: s", "statement: s\n    alpha: 0.01"),
        ("statement: s", "statement: s\n    family: gains"),
        ("statement: s", "statement: s\n    for: all"),
        ("statement: s", "statement: s\n    multiverse: {norm: [centred]}"),
        ("[gptj, gpt2]", "[gptj]"),
    ],
)
def test_what_decides_a_claim_changes_its_hash(old, new):
    assert old in CLAIM
    assert hash_in(CLAIM.replace(old, new)) != hash_in(CLAIM)


@pytest.mark.parametrize(
    "more",
    [
        "slow: true",
        "catalogue: s4\n    decides: part",
        "source: {document: d}",
        "record: {gptj: {value: 1.06}}",
        "alpha: 0.05",  # what holds anyway, written out
        "for: each",
        "controls: []",
    ],
)
def test_what_changes_no_verdict_changes_no_hash(more):
    assert hash_in(CLAIM.replace("statement: s", f"statement: s\n    {more}")) == hash_in(CLAIM)


def test_other_prompts_under_the_same_name_are_another_claim():
    other = SimpleNamespace(hash="others", categories=())
    assert hash_in(CLAIM, prompts=lambda name: other) != hash_in(CLAIM)


def test_a_new_version_of_a_metric_or_a_statistic_is_another_claim(monkeypatch):
    before = hash_in(CLAIM)
    for registry, name in ((METRICS, "last_gain"), (STATISTICS, "mean")):
        with monkeypatch.context() as patch:
            patch.setitem(registry._things, name, replace(registry[name], version=99))
            assert hash_in(CLAIM) != before


def test_the_models_of_a_claim_on_all_of_them_are_part_of_it_and_of_a_claim_on_each_are_not():
    fewer = ModelRegistry(row for row in REGISTRY if row.name not in ("gpt2-xl",))
    on_each, on_all = (CLAIM.replace("[gptj, gpt2]", f"'gpt2*'\n    for: {word}") for word in ("each", "all"))
    assert hash_in(on_each, fewer) == hash_in(on_each)
    assert hash_in(on_all, fewer) != hash_in(on_all)
    backwards = ModelRegistry(reversed(list(REGISTRY)))
    assert hash_in(on_all, backwards) == hash_in(on_all)


def test_every_claim_of_every_kind_has_a_hash():
    text = CLAIM + "  - {id: b, statement: s, evidence: none, reason: r}\n"
    cases = cases_of(claims_from(parse_yaml(text, "c.yaml")), REGISTRY, "c.yaml")
    assert hash_of(cases[-1].claim, (), prompts) == hashes_of(cases, prompts)["b"]


# The lock


A, B = "a" * 64, "b" * 64


def test_a_new_claim_is_locked_now_and_a_changed_one_keeps_what_it_was():
    first = updated({}, {"a": A, "b": A}, {"a": ("gptj",)}, NOON)
    assert (first.new, first.changed, first.unchanged) == (("a", "b"), (), 0)
    later = NOON + timedelta(days=1)
    second = updated(first.lock, {"a": B, "b": A}, {}, later)
    assert (second.new, second.changed, second.unchanged) == ((), ("a",), 1)
    assert second.lock["a"] == Locked(hash=B, locked=later, history=(LockedForm(hash=A, locked=NOON),))
    assert second.lock["b"].locked == NOON
    third = updated(second.lock, {"a": A, "b": A}, {}, later + timedelta(days=1))
    assert third.lock["a"].locked > later  # back in an earlier form: its date is that of coming back
    assert [one.hash for one in third.lock["a"].history] == [B, A]


def test_a_claim_that_left_the_file_keeps_its_line():
    first = updated({}, {"a": A, "b": A}, {}, NOON)
    gone = updated(first.lock, {"b": A}, {}, NOON + timedelta(days=1))
    assert gone.removed == ("a",)
    assert gone.lock["a"].removed == NOON + timedelta(days=1)
    again = updated(gone.lock, {"b": A}, {}, NOON + timedelta(days=2))
    assert again.nothing
    back = updated(again.lock, {"a": A, "b": A}, {}, NOON + timedelta(days=3))
    assert (back.back, back.lock["a"].removed, back.lock["a"].locked) == (("a",), None, NOON)


entries = st.builds(
    Locked,
    hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    locked=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda d: d.replace(microsecond=0)
    ),
    seen=st.lists(st.sampled_from(["gptj", "gpt2@drawn", "1.5", "null", "2026-11-21"]), unique=True).map(
        lambda names: tuple(sorted(names))
    ),
    history=st.lists(st.just(LockedForm(hash=A, locked=NOON)), max_size=2).map(tuple),
    removed=st.sampled_from([None, NOON]),
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True), entries, max_size=5))
def test_a_lock_is_read_as_it_was_written_one_line_a_claim_in_order(tmp_path_factory, lock):
    path = tmp_path_factory.mktemp("lock") / "claims.lock"
    write_lock(path, lock)
    assert read_lock(path) == lock
    text = path.read_text()
    names = [line.split(":")[0].strip().strip('"') for line in text.splitlines() if line.startswith("  ")]
    assert names == sorted(lock)
    write_lock(path, dict(reversed(lock.items())))
    assert path.read_text() == text
    assert isinstance(yaml.safe_load(text), dict)


def test_two_branches_that_lock_other_claims_merge_line_by_line(tmp_path):
    texts = []
    for more in ({}, {"c": A}, {"e": A}):
        write_lock(tmp_path / "x.lock", updated({}, {"a": A, "d": A, **more}, {}, NOON).lock)
        texts.append((tmp_path / "x.lock").read_text().splitlines())
    base, ours, theirs = texts
    both = sorted({*ours, *theirs} - {*base})
    (tmp_path / "x.lock").write_text("\n".join([*base, *both]) + "\n")
    assert sorted(read_lock(tmp_path / "x.lock")) == ["a", "c", "d", "e"]


def test_the_lock_stands_beside_its_claims_and_none_locks_nothing(tmp_path):
    assert lock_file(tmp_path / "mine.yaml") == tmp_path / "mine.lock"
    assert read_lock(tmp_path / "mine.lock") == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  a: {hash: x, locked: 2026-11-21T12:00:00Z}", "x.lock:3 claims.a.hash: 'x' does not match"),
        (f'  a: {{hash: "{A}", locked: soon}}', "x.lock:3 claims.a.locked: "),
        (f'  a: {{hash: "{A}", locked: 2026-11-21T12:00:00}}', "x.lock:3 claims.a.locked: "),  # no time zone
        (f'  a: {{hash: "{A}"}}', "claims.a.locked: the key 'locked' is missing; write it"),
        (f'  a: {{hash: "{A}", locked: 2026-11-21T12:00:00Z, sen: []}}', "claims.a.sen: unknown key 'sen'"),
        ("<<<<<<< ours", "x.lock:"),
    ],
)
def test_a_lock_that_is_none_is_refused_by_its_line(tmp_path, monkeypatch, line, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.lock").write_text(f"schema: 1\nclaims:\n{line}\n")
    with pytest.raises(BadInput) as caught:
        read_lock(tmp_path / "x.lock")
    assert expected in str(caught.value)
    assert "Traceback" not in str(caught.value)


# Confirmatory or exploratory


(CASE, *_) = cases_of(claims_from(parse_yaml(CLAIM, "c.yaml")), REGISTRY, "c.yaml")


def meta(model="gptj", hours=1.0, kind="pretrained", **more):
    made = (NOON + timedelta(hours=hours)).isoformat()
    return {"model": model, "pass": "forward", "weights_kind": kind, "prompts": "p", "measured": made, **more}


def told(*metas, published=False, **entry):
    lock = {"a": Locked(**{"hash": A, "locked": NOON, **entry})} if entry.pop("there", True) else {}
    return Registrations({"a": A}, lock).describe(CASE.claim, metas, published=published)


def test_a_measurement_made_after_its_claim_was_locked_is_confirmatory():
    assert told(meta()) == {"claim_hash": A, "locked": "2026-11-21T12:00:00Z", "registration": "confirmatory"}


@pytest.mark.parametrize(
    ("metas", "entry", "why"),
    [
        ([meta()], {"there": False}, "not locked"),
        ([meta()], {"hash": B}, "changed since 2026-11-21T12:00:00Z"),
        ([meta(hours=-1)], {}, "measured before it was locked"),
        ([meta(), meta("gpt2", hours=-1)], {}, "measured before it was locked"),  # one of several is enough
        ([{k: v for k, v in meta().items() if k != "measured"}], {}, "when it was measured is not known"),
        ([meta()], {"seen": ("gptj",)}, "had been measured on these prompts when it was locked: gptj"),
        ([meta()], {"history": (LockedForm(hash=A, locked=NOON),), "hash": B}, "changed since 2026-11-21T12:00:00Z"),
    ],
)
def test_all_else_is_exploratory_and_says_why(metas, entry, why):
    found = told(*metas, **entry)
    assert (found["registration"], found["registration_reason"]) == ("exploratory", why)


@pytest.mark.parametrize("spoilt", [None, "", "yesterday", "2026-11-21T13:00:00", 5])
def test_a_time_that_cannot_be_read_or_has_no_zone_confirms_nothing(spoilt):
    assert told({**meta(), "measured": spoilt})["registration_reason"] == "when it was measured is not known"


def test_a_table_made_elsewhere_is_exploratory():
    assert told(published=True)["registration_reason"] == "when it was measured is not known"


def test_where_nothing_was_measured_nothing_is_confirmed():
    assert told() == {"claim_hash": A, "locked": "2026-11-21T12:00:00Z", "registration": "-"}


def test_a_control_on_drawn_weights_that_was_there_before_spoils_nothing():
    drawn = meta(hours=-5, kind="initialisation")
    assert told(meta(), drawn, seen=("gptj@drawn",))["registration"] == "confirmatory"
    assert told(drawn)["registration"] == "exploratory"  # but not where the verdict is on it


def verdict_row(subject="gptj", kind="pretrained", details=(), **about):
    judged = Judgement(Verdict.SUPPORTED, "< 1", "because", details=dict(details))
    told = {"statement": "s", "evidence": "measured", "alpha": 0.05, **about}
    weights = {"weights_kind": kind, "prompt_set_hash": "hash of grand-unified-25"}
    return VerdictRow.of(judged, case="a", claim="a", subject=subject, about=told, weights=weights)


def test_what_is_seen_when_locking_is_what_the_store_and_earlier_verdicts_hold_of_the_same_prompts():
    cases = cases_of(claims_from(parse_yaml(CLAIM, "c.yaml")), REGISTRY, "c.yaml")
    on = {"prompts": "hash of grand-unified-25"}
    assert seen_by_now(cases, [{**meta("gptj"), **on}], [], prompts) == {"a": ("gptj",)}
    assert seen_by_now(cases, [{**meta("gptj"), "prompts": "others"}], [], prompts) == {"a": ()}
    assert seen_by_now(cases, [{**meta("smollm2"), **on}], [], prompts) == {"a": ()}  # no subject of the claim
    assert seen_by_now(cases, [{**meta(kind="initialisation"), **on}], [], prompts) == {"a": ("gptj@drawn",)}
    assert seen_by_now(cases, [], [verdict_row()], prompts) == {"a": ("gptj",)}
    of_two = verdict_row("gptj, gpt2", details={"gptj": "SUPPORTED: x", "gpt2": "NOT_MEASURED: y"})
    assert seen_by_now(cases, [], [of_two], prompts) == {"a": ("gptj",)}


def test_the_summary_counts_registrations_once_something_was_locked():
    never = verdict_row(registration="exploratory", registration_reason="not locked", locked="never")
    assert registration_lines([never, never]) == []
    sure = verdict_row(registration="confirmatory", locked="2026-11-21T12:00:00Z")
    assert registration_lines([never, sure]) == ["registration: 1 confirmatory, 1 exploratory (1 not locked)"]
