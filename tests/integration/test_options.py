"""The commands that users type."""

from __future__ import annotations

import copy
import json

from refutable.models.registry import load_registry
from refutable.prompts.find import load_prompts

from .conftest import CLAIMS, Suite


def test_without_a_gpu_a_large_model_is_not_measured_in_one_line_and_exit_6(suite: Suite) -> None:
    run = suite.pytest("-m", "gpu", "--model", "gptj", "--require-verdicts", "1")
    lines = [line for line in run.text.splitlines() if "nothing was measured" in line]
    assert len(lines) == 1, run.text
    assert "no GPU can be used here" in lines[0]
    assert "6.05 B parameters" in lines[0]
    assert run.status == 6


def test_without_the_requirement_the_same_run_exits_0(suite: Suite) -> None:
    assert suite.pytest("-m", "gpu", "--model", "gptj").status == 0


def test_require_decided_counts_only_supported_and_refuted(suite: Suite) -> None:
    assert suite.pytest("-k", "gain-follows-entropy", "--require-verdicts", "1").status == 0
    assert suite.pytest("-k", "gain-follows-entropy", "--require-decided", "1").status == 6


def test_a_verdict_that_turns_on_an_unverified_fact_is_not_counted_as_decided(suite: Suite) -> None:
    given = ("-k", "gptj-rotary-quarter", "--require-decided", "1")
    assert suite.pytest(*given).status == 0
    text = (
        (suite.folder / "claims.yaml")
        .read_text()
        .replace("models: [gptj]\n    test: {fact", "models: MODEL\n    test: {fact")
    )
    suite.write("claims.yaml", text.replace("MODEL", "pythia-6.9b-v0"))  # stated by its authors alone
    run = suite.pytest(*given)
    assert run.status == 6
    (row,) = run.json["verdicts"]
    assert (row["verdict"], row["labels"]) == ("SUPPORTED", ["unverified-fact"])
    assert "1 unverified-fact" in run.text


def test_k_finds_claims_by_the_words_of_their_ids(suite: Suite) -> None:
    assert set(suite.pytest("-k", "attention").verdicts) == {"tiny-attention-shrinks-the-stream-tiny-gpt2"}


def test_an_unnamed_model_is_not_measured_and_the_command_is_said(suite: Suite) -> None:
    suite.write("claims.yaml", (suite.folder / "claims.yaml").read_text().replace("[gptj]", "[pythia-70m]"))
    run = suite.pytest("-k", "gptj-dampens")
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "pytest --model pythia-70m" in row["why"]


def test_a_named_model_that_is_not_at_hand_offline_says_so(suite: Suite) -> None:
    suite.write("claims.yaml", (suite.folder / "claims.yaml").read_text().replace("[gptj]", "[pythia-70m]"))
    run = suite.pytest("-k", "gptj-dampens", "--model", "pythia-70m", "--offline")
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "not in the cache and --offline was given" in row["why"]


def test_init_draws_a_named_models_weights_at_its_true_shape(suite: Suite) -> None:
    suite.write("claims.yaml", (suite.folder / "claims.yaml").read_text().replace("[gptj]", "[pythia-70m]"))
    run = suite.pytest("-k", "gptj-dampens", "--model", "pythia-70m", "--weights", "init")
    (row,) = run.json["verdicts"]
    assert row["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE"), row["why"]
    assert row["weights"]["weights_kind"] == "initialisation"
    assert row["weights"]["tokens"] == "stand-in tokens"


def test_drawn_weights_saved_and_given_as_a_path_read_as_local(suite: Suite) -> None:
    drawn = suite.refutable("draw", "tiny-gpt2", "--out", "w", "--device", "cpu")
    assert drawn.status == 0, drawn.text
    row = load_registry()["tiny-gpt2"].model_dump(include={"family", "parameters", "config"})
    mine = {"title": "Mine", "organisation": "me", "licence": "none", **row}
    suite.write("models.yaml", json.dumps({"models": {"mine": mine}}))
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    suite.write(
        "claims.yaml", (suite.folder / "claims.yaml").read_text().replace("models: [tiny-gpt2]", "models: [mine]")
    )
    run = suite.pytest(
        "-k", "shrinks", "--model", "mine", "--weights", "w"
    )  # two words: pytest alone would root itself at w
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "REFUTED", row["why"]
    assert row["weights"]["weights_kind"] == "local"
    assert "unverified" in row["weights"]["weights_detail"]


def test_published_numbers_are_judged_as_they_are(suite: Suite) -> None:
    rows = "".join(f"GPT-J-6B,Factual,{1.05 + i / 100}\n" for i in range(10))
    suite.write("published.csv", "Model,Category,Last_Gain\n" + rows)
    run = suite.pytest("-k", "gptj-dampens", "--measurements", "published.csv")
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "REFUTED"
    assert abs(row["estimate"]["value"] - 1.095) < 1e-12  # mean of 1.05, 1.06, ..., 1.14
    assert row["weights"]["weights_kind"] == "published table"


def test_a_table_of_single_values_says_that_no_replicate_was_at_hand(suite: Suite) -> None:
    suite.write("summary.json", json.dumps({"rows": [{"name": "our J", "gain": 1.0652}]}))
    text = "records: rows\nmodel: name\nmodels: {our J: gptj}\nmetrics: {last_gain: gain}\nnote: from a paper\n"
    suite.write("map.yaml", text)
    run = suite.pytest("--measurements", "summary.json", "--measurements-map", "map.yaml", "-k", "gptj or opt or tiny")
    rows = {row["id"]: row for row in run.json["verdicts"]}
    assert rows["gptj-dampens-gptj"]["verdict"] == "REFUTED"
    assert "true of these recorded values only; no replicate was at hand" in run.text
    assert "from a paper" in rows["gptj-dampens-gptj"]["weights"]["weights_detail"]
    # the table speaks of measured claims; facts, wiring and weights that are drawn here are tried as ever
    assert rows["tiny-attention-shrinks-the-stream-tiny-gpt2"]["verdict"] == "NOT_MEASURED"
    assert rows["opt-is-parallel-opt-6.7b"]["verdict"] == "REFUTED"
    assert rows["gptj-rotary-quarter-gptj"]["verdict"] == "SUPPORTED"
    assert rows["tiny-blocks-grow-tiny-gpt2"]["weights"]["weights_kind"] == "initialisation"


def test_prompts_of_the_users_own_stand_in_for_the_claims_and_are_never_mixed_with_them(suite: Suite) -> None:
    suite.pytest("-k", "shrinks or triangle")
    suite.refutable("publish", "--to", "published.json", "--yes")
    suite.write("mine.txt", "".join(f"A prompt of {i} own words\n" for i in range(12)))
    run = suite.pytest("--prompts", "mine.txt", "--baseline", "published.json", "-k", "shrinks or triangle")
    row = {row["claim"]: row for row in run.json["verdicts"]}["tiny-attention-shrinks-the-stream"]
    digest = row["weights"]["prompt_set_hash"]
    assert (row["estimate"]["n"], row["weights"]["prompt_set"], row["weights"]["prompts_from"]) == (
        12,
        "mine",
        "--prompts",
    )
    assert f"mine (SHA-256 {digest}), --prompts" in run.text
    assert f"mine (12 prompts, SHA-256 {digest}), --prompts" in run.json["provenance"]["options"]["prompts"]
    assert "CHANGED" not in run.text
    assert "not re-measured: tiny-attention-shrinks-the-stream-tiny-gpt2" in run.text
    assert "new, not in the baseline: tiny-attention-shrinks-the-stream-tiny-gpt2" in run.text
    assert run.status == 0
    refused = suite.refutable("publish", "--to", "published.json", "--yes")
    assert refused.status == 4  # what is published would go
    assert "only in A" in refused.text
    assert suite.refutable("diff", "published.json", "reports/verdicts.json").status == 1
    assert suite.refutable("diff", "published.json", "published.json").status == 0
    assert suite.refutable("diff", "published.json", "absent.json").status == 2


def test_a_prompt_that_is_too_long_for_a_model_is_said(suite: Suite) -> None:
    suite.write("long.txt", "word " * 600 + "\nshort\n")
    (row,) = suite.pytest("--prompts", "long.txt", "-k", "shrinks").json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "tiny-gpt2 reads at most 512 tokens and prompt 1 of " in row["why"]


def test_a_collection_is_chosen_by_its_name(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIMS.replace("claims:", "collection: My study\nclaims:", 1))
    listed = suite.run("-m", "pytest", "--collect-only", "-q", "-k", "my-study and triangle")
    assert "1/8 tests collected" in listed.text
    assert "no tests collected" in suite.run("-m", "pytest", "--collect-only", "-q", "-k", "another-study").text


def test_what_can_never_be_decided_is_said_at_collection_and_skipped_on_request(suite: Suite) -> None:
    suite.write("one.txt", "A single prompt\n")
    listed = suite.pytest("--prompts", "one.txt", "--collect-only", "-k", "shrinks or gptj-dampens")
    assert "tiny-attention-shrinks-the-stream: with this one prompt: hopeless, unsupportable: needs 2" in listed.text
    tried = suite.pytest("--prompts", "one.txt", "-k", "shrinks")
    assert tried.json["verdicts"][0]["verdict"] == "INCONCLUSIVE"
    skipped = suite.pytest("--prompts", "one.txt", "-k", "shrinks", "--skip-hopeless")
    (row,) = skipped.json["verdicts"]
    assert row["verdict"] == "NOT_MEASURED"
    assert "needs 2" in row["why"]
    assert "--skip-hopeless" in row["why"]
    assert row["traces"] == []


def test_an_unusual_alpha_is_shown(suite: Suite) -> None:
    claims = (suite.folder / "claims.yaml").read_text()
    suite.write("claims.yaml", claims.replace("    seeds: ", "    alpha: 0.02\n    seeds: "))
    run = suite.pytest("-k", "grow or shrinks")
    shown = {words[0]: line for line in run.text.splitlines() if "[" in line and (words := line.split())}
    assert shown["tiny-blocks-grow"].count("alpha 0.02") == 2, run.text  # on each of two models
    assert "alpha" not in shown["tiny-attention-shrinks-the-stream"], run.text


def test_commands_read_the_registry_and_the_claims_that_the_ini_file_names(suite: Suite) -> None:
    row = load_registry()["tiny-gpt2"].model_dump(include={"family", "parameters", "config"})
    mine = {"title": "Mine", "organisation": "me", "licence": "none", **row}
    suite.write("models.yaml", json.dumps({"models": {"mine": mine}}))
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_models = models.yaml\n")
    (suite.folder / "claims.yaml").rename(suite.folder / "mine.yaml")
    suite.write("mine.yaml", (suite.folder / "mine.yaml").read_text().replace("[gptj]", "[mine]"))
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text().replace("claims.yaml", "mine.yaml"))
    checked = suite.refutable("check")
    assert checked.status == 0, checked.text
    assert "mine.yaml: 7 claims" in checked.text
    assert "mine " in suite.refutable("models").text


def test_the_suite_without_claims_says_what_to_give(suite: Suite) -> None:
    (suite.folder / "pytest.ini").unlink()
    run = suite.pytest("--pyargs", "refutable.suite")
    assert run.status == 4
    assert "give --claims FILE" in run.text
    assert "fixture" not in run.text


def test_packaged_prompts_are_listed_with_their_hashes_and_printed(suite: Suite) -> None:
    listed = suite.refutable("prompts")
    assert "aaa11de7086d5737bcfbc1f2843f3e1813ba844125307ec9b89d0ad6301a4e05" in listed.text
    printed = suite.refutable("prompts", "grand-unified-25")
    assert printed.text.splitlines()[0] == "The capital city of France is"
    assert len(printed.text.splitlines()) == 25
    assert "Did you mean" in suite.refutable("prompts", "grand-unified-24").text


def test_prompts_with_line_breaks_are_printed_as_json_lines_that_are_read_back(suite: Suite) -> None:
    printed = suite.refutable("prompts", "many-kinds").text.splitlines()
    (suite.folder / "printed.jsonl").write_text("\n".join(printed), encoding="utf-8")
    back = load_prompts("printed.jsonl", beside=suite.folder)
    assert [prompt.text for prompt in back.prompts] == [prompt.text for prompt in load_prompts("many-kinds").prompts]


def test_an_unchanged_baseline_exits_0_although_claims_are_refuted(suite: Suite) -> None:
    suite.pytest()
    published = suite.refutable("publish", "--to", "published.json", "--yes")
    assert published.status == 0, published.text
    run = suite.pytest("--baseline", "published.json")
    assert run.status == 0, run.text
    assert "baseline: no verdict changed" in run.text


def test_a_changed_verdict_exits_1_and_is_named(suite: Suite) -> None:
    suite.pytest()
    suite.refutable("publish", "--to", "published.json", "--yes")
    data = json.loads((suite.folder / "published.json").read_text())
    for row in data["verdicts"]:
        if row["id"] == "triangle":
            row["verdict"] = "REFUTED"
    suite.write("published.json", json.dumps(data))
    run = suite.pytest("--baseline", "published.json")
    assert run.status == 1
    assert "CHANGED against the baseline: triangle (-): REFUTED -> SUPPORTED" in run.text


def test_what_was_not_selected_is_listed_and_does_not_fail(suite: Suite) -> None:
    suite.pytest()
    suite.refutable("publish", "--to", "published.json", "--yes")
    run = suite.pytest("--baseline", "published.json", "-k", "triangle")
    assert run.status == 0, run.text
    assert "selected: 1 of 8 cases" in run.text
    unselected = run.json["comparison"]["not_selected"]
    assert f"not selected: {len(unselected)} verdicts of the baseline: {unselected[0]}" in " ".join(run.text.split())
    assert not run.json["comparison"]["not_remeasured"]


def test_deselecting_everything_is_pytests_own_exit_5(suite: Suite) -> None:
    assert suite.pytest("-k", "no-such-claim").status == 5


def test_collect_only_leaves_the_last_reports_alone(suite: Suite) -> None:
    suite.pytest()
    before = (suite.folder / "reports" / "verdicts.json").read_text()
    assert suite.pytest("--collect-only", "-q").status == 0
    assert (suite.folder / "reports" / "verdicts.json").read_text() == before


def test_the_starter_suite_runs_as_it_says(suite: Suite) -> None:
    made = suite.refutable("init", "mine")
    assert made.status == 0, made.text
    run = copy.copy(suite)
    run.folder = suite.folder / "mine"
    assert (
        "collected 1 item" in run.pytest("--collect-only").text
        or "1 test collected" in run.pytest("--collect-only").text
    )
