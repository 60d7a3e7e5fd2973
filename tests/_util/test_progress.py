"""Tasks, in words and on a terminal, by a clock that the tests move."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from refutable._util.display import HEAD_START, PATIENCE, SILENCE, Display
from refutable._util.progress import BYTES, Task, active, listening, say, task, within
from refutable._util.progress_line import duration, memory_held, progress_line


@dataclass
class Screen:
    """A clock, and a display that writes into a list."""

    live: bool = False
    now: float = 1000.0
    column: int = 0
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.display = Display(
            self.written.append,
            live=self.live,
            column=lambda: self.column,
            broke=lambda: setattr(self, "column", 0),
            clock=lambda: self.now,
        )

    def after(self, seconds: float) -> str:
        """Let time pass, and return what was written then."""
        self.now += seconds
        self.written.clear()
        self.display.tick()
        return "".join(self.written)


def test_what_is_being_done_is_known_inside_it_and_forgotten_after_it() -> None:
    def fail() -> None:
        with task("inner", 5, "prompts"):
            assert [one.name for one in active()] == ["outer", "inner"]
            raise KeyError

    with task("outer"):
        with pytest.raises(KeyError):
            fail()
        assert [one.name for one in active()] == ["outer"]
    assert active() == ()


def test_threads_advance_one_task_without_losing_any() -> None:
    with task("reading", 4000, BYTES) as reading:
        threads = [threading.Thread(target=lambda: [reading.advance() for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (reading.done, reading.fraction) == (4000, 1.0)


def test_the_share_of_work_counts_the_piece_at_hand() -> None:
    with task("", 52, "prompts") as running:
        running.share, running.step = 0.5, 0.25
        within(0.5)
        assert running.fraction == 0.625


LINES = [
    ([Task("gptj: reading weights"), Task("", 24e9, BYTES, 6e9)],
     "gptj: reading weights: 6.0 GB of 24.0 GB, 600.0 MB/s, 30 s left"),
    ([Task("smollm2: pass 3 of 7, jacobian over many-kinds"), Task("", 52, "prompts", 24, share=0.25)],
     "smollm2: pass 3 of 7, jacobian over many-kinds: 24 of 52 prompts, 30 s left"),
    ([Task("loading torch and transformers")], "loading torch and transformers: 10 s"),
    ([Task("a", 10, "cases", 0)], "a: 0 of 10 cases, 10 s"),
]  # fmt: skip


@pytest.mark.parametrize(("tasks", "line"), LINES)
def test_a_line_says_how_far_it_is_how_fast_and_how_long_it_takes(tasks: list[Task], line: str) -> None:
    for one in tasks:
        one.started = 90.0
    assert progress_line(tasks, 100.0, "", 200) == line


def test_a_line_says_what_it_is_for_and_the_memory_where_there_is_room() -> None:
    tasks = [Task("trying narrow-heads-dampen", started=0.0), Task("smollm2: drawing weights", started=0.0)]
    whole = "smollm2: drawing weights: 5 s, 1.8 GB of memory [trying narrow-heads-dampen]"
    assert progress_line(tasks, 5.0, "1.8 GB of memory", len(whole)) == whole
    assert progress_line(tasks, 5.0, "1.8 GB of memory", len(whole) - 1) == whole.partition(" [")[0]
    passing = [Task("tiny: pass 1 of 1, forward", started=0.0), Task("", 25, "prompts", 12, started=0.0)]
    assert progress_line(passing, 5.0, "", 45) == "tiny: pass 1 of 1, forward: 12 of 25 prompts"
    assert progress_line(tasks, 5.0, "1.8 GB of memory", 30) == "smollm2: drawing weights: 5 s"
    assert progress_line(tasks, 5.0, "1.8 GB of memory", 20) == "smollm2: dra...: 5 s"


def test_a_long_name_is_cut_and_never_the_numbers_behind_it() -> None:
    name = "smollm2: pass 4 of 12, forward under soften-attention of every block over grand-unified-25"
    tasks = [Task(name, started=0.0), Task("", 520, "prompts", 130, started=0.0)]
    line = progress_line(tasks, 20.0, "", 79)
    assert line.endswith("...: 130 of 520 prompts, 1 min 00 s left")
    assert line.startswith("smollm2: pass 4 of 12, forward")
    assert len(line) <= 79
    reading = [Task("SmolLM2-135M-Instruct.Q4_1.gguf: converting to safetensors, once", 98.9e6, BYTES, 45e6)]
    reading[0].started = 0.0
    assert "...: 45.0 MB of 98.9 MB, " in progress_line(reading, 5.0, "0.5 GB of memory", 79)


def test_times_and_memory_in_words() -> None:
    assert [duration(s) for s in (7.4, 59.6, 125, 3800)] == ["7 s", "1 min 00 s", "2 min 05 s", "1 h 03 min"]
    assert memory_held().endswith("GB of memory")


def test_where_lines_stay_one_is_written_in_every_ten_seconds_of_silence_and_no_more() -> None:
    screen = Screen()
    with listening(screen.display):
        assert screen.after(100) == ""  # nothing is being done
        with task("smollm2: drawing weights"):
            assert screen.after(0).startswith("smollm2: drawing weights: ")
            assert screen.after(SILENCE - 0.1) == ""
            assert screen.after(0.1).endswith("\n")
            screen.display.touch()  # somebody else wrote
            assert screen.after(SILENCE - 0.1) == ""
    assert SILENCE < 10


def test_what_happened_before_it_could_be_shown_counts_as_silence() -> None:
    screen = Screen()
    with task("loading refutable"):
        assert screen.after(SILENCE - HEAD_START) != ""


def test_a_line_that_stays_begins_on_a_line_of_its_own() -> None:
    screen = Screen(column=3)
    with listening(screen.display):
        say("gptj: reading 24.0 GB of weights")
        say("more")
    assert "".join(screen.written) == "\ngptj: reading 24.0 GB of weights\nmore\n"


def test_on_a_terminal_the_line_below_is_written_over_and_taken_away() -> None:
    screen = Screen(live=True, column=5)
    with listening(screen.display):
        with task("trying it") as trying, task("", 10, "prompts"):
            trying.started = screen.now
            assert screen.after(PATIENCE / 2) == ""
            drawn = screen.after(PATIENCE)
            assert drawn.startswith("\n\r\x1b[2mtrying it: 0 of 10 prompts")
            assert drawn.endswith("\x1b[K\x1b[A\r\x1b[5C")  # back behind the letters
            screen.written.clear()
        assert "".join(screen.written) == "\n\r\x1b[K\x1b[A\r\x1b[5C"
        assert screen.after(10) == ""


def test_nothing_is_shown_while_somebody_debugs() -> None:
    screen = Screen()
    with listening(screen.display), task("trying it"):
        screen.display.pause()
        assert screen.after(100) == ""
        screen.display.go_on()
        assert screen.after(0) != ""


def test_a_display_shows_from_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refutable._util.display.TICK", 0.01)
    shown = threading.Event()
    display = Display(lambda text: shown.set(), live=False, clock=iter(range(0, 10**9, 100)).__next__)
    with display.running(), task("a while"):
        assert shown.wait(10)
    assert not any(thread.name == "refutable-progress" for thread in threading.enumerate())
