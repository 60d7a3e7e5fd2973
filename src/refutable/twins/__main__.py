"""``python -m refutable.twins``: build the corpus, tokenise it, train the design, try settings, list the twins."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import time
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer

from refutable.twins.design import SIZES, Twin, cell_of, twins_of
from refutable.twins.errors import TwinsError

app = typer.Typer(add_completion=False, help="Transformers trained from scratch that differ in one factor only.")
DATA = Path("twins/data")
EXPERIMENTS = Path(__file__).parents[1] / "data" / "experiments"
LARGEST = 15 << 20  # bytes of a file that is carried from one machine to another


@app.command()
def corpus(out: Path, packages: Annotated[Path | None, typer.Option(help="folder of the .deb files")] = None) -> None:
    """Build the corpus from Debian packages."""
    from refutable.twins.corpus.build import build

    for source in build(out, packages)["sources"]:
        print(f"{source['package']} {source['version']}: {source['characters']:,} characters, {source['licence']}")


@app.command()
def tokenise(
    corpus: Path,
    out: Annotated[Path, typer.Option(help="folder of token files, one folder a vocabulary")] = DATA,
    vocabulary: int = 2048,
    limit: Annotated[int, typer.Option(help="training tokens at most")] = 20_000_000,
) -> None:
    """Train a byte-level BPE on the corpus and write its tokens."""
    from refutable.prompts.find import load_prompts
    from refutable.twins.corpus.tokens import tokenise as write

    texts = [prompt.text for prompt in load_prompts("grand-unified-25").prompts]
    about = write(corpus, out / str(vocabulary), vocabulary, limit, texts)
    print(f"{about['train']['tokens']:,} tokens to train on, {about['held-out']['tokens']:,} held out")


@app.command("list")
def show(size: list[str] = ["small", "medium", "large"], cells: list[str] = ["*"]) -> None:  # noqa: B006
    """List the design's twins, and the tokens that training them reads."""
    twins = twins_of(size, cells)
    for name in dict.fromkeys((twin.size.name, twin.cell.name) for twin in twins):
        some = [twin for twin in twins if (twin.size.name, twin.cell.name) == name]
        print(f"{name[0]:7}{name[1]:26}{some[0].cell.factor:24}against {some[0].cell.against:16}{len(some)} seeds")
    print(f"{len(twins)} twins, {sum(twin.size.tokens for twin in twins) / 1e6:,.0f} M tokens")


@app.command()
def bench(
    size: str = "small",
    cell: str = "base",
    settings: Annotated[str, typer.Option(help="PROCESSES:none|block|loss[+graph], separated by commas")] = "1:none",
    seconds: float = 10.0,
    data: Path = DATA,
    device: str = "auto",
) -> None:
    """Say how many tokens a second each setting trains on this machine."""
    from refutable.twins.bench import bench as run
    from refutable.twins.bench import parse

    twin = Twin(cell_of(cell), SIZES[size], 0)
    run(twin, data, [parse(one, _device(device)) for one in settings.split(",")], seconds, _say)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="folder of what is carried away: tables, kept weights, checkpoints")],
    state: Annotated[Path | None, typer.Option(help="folder of checkpoints and records; by default OUT/state")] = None,
    done: Annotated[list[Path], typer.Option(help="folders of earlier runs, whose twins are not trained again")] = [],  # noqa: B006
    size: Annotated[list[str], typer.Option()] = ["small"],  # noqa: B006
    cells: Annotated[list[str], typer.Option(help="globs of cells")] = ["*"],  # noqa: B006
    seeds: Annotated[str, typer.Option(help="as 0,1,2; by default as the design has them")] = "",
    processes: int = 4,
    compile: str = "none",
    graph: bool = False,
    minutes: Annotated[float, typer.Option(help="stop cleanly after so many")] = 9.0,
    keep: Annotated[str, typer.Option(help="globs of the twins whose weights are kept")] = "shipped.*",
    batch: Annotated[int | None, typer.Option(help="windows a step, to try another")] = None,
    steps: Annotated[int | None, typer.Option(help="of training, to try another number")] = None,
    rate: Annotated[float | None, typer.Option(help="largest learning rate, to try another")] = None,
    data: Path = DATA,
    device: str = "auto",
    save_seconds: float = 30.0,
) -> None:
    """Train twins, carrying on where an earlier run stopped."""
    from refutable.twins.results import finished, write_tables
    from refutable.twins.schedule import Plan, run
    from refutable.twins.trainer import Settings

    if compile not in ("none", "block", "loss"):
        raise TwinsError(f"--compile {compile!r}: none, block or loss")
    chosen = twins_of(size, cells, [int(seed) for seed in seeds.split(",")] if seeds else None)
    tried: dict[str, Any] = {
        name: value for name, value in (("batch", batch), ("steps", steps), ("rate", rate)) if value is not None
    }
    if tried:  # under a name of its own, so that it is never taken for the design
        chosen = [replace(one, size=replace(one.size, name=f"tried-{one.size.name}", **tried)) for one in chosen]
    state = state or out / "state"
    state.mkdir(parents=True, exist_ok=True)
    _unpack(done, state)
    over = finished([state, *done])
    left = [twin for twin in chosen if twin.name not in over]
    _say(f"{len(chosen)} twins, {len(chosen) - len(left)} trained already, {len(left)} to train")
    settings = Settings(_device(device), compile, graph, save_seconds)  # type: ignore[arg-type]
    kept = frozenset(one.name for one in chosen if any(fnmatch(one.name, glob) for glob in keep.split(",")))
    errors: list[str] = []
    if left:
        plan = Plan(data, state, kept, settings, time.time() + 60 * minutes)
        errors = run(left, plan, processes, _say)
    write_tables(list(state.glob("*.npz")), out)
    for packed in _pack(sorted(state.glob("weights/*.safetensors")), out, "weights"):
        _say(packed)
    for packed in _pack(sorted(state.glob("*.pt")), out, "checkpoints", most=1):
        _say(packed)
    missing = [twin.name for twin in chosen if twin.name not in finished([state, *done])]
    _say(f"{len(chosen) - len(missing)} of {len(chosen)} twins are trained; tables in {out}")
    if errors:
        raise TwinsError(f"{len(errors)} workers failed; run again to carry on:\n" + "\n".join(errors))


@app.command()
def table(
    folders: Annotated[list[Path], typer.Argument(help="folders that `train` wrote to")] = [],  # noqa: B006
    size: Annotated[list[str], typer.Option()] = ["small", "medium", "large"],  # noqa: B006
    out: Annotated[Path, typer.Option(help="folder for twins.csv and twins.json")] = EXPERIMENTS,
    course: Annotated[Path | None, typer.Option(help="folder for every twin's trajectory as Parquet")] = None,
) -> None:
    """Write the table that causal claims are judged on; of no folder, only what the design is."""
    from refutable.twins.outcomes import experiment_table, made_at, write_experiment
    from refutable.twins.results import write_course

    rows = experiment_table(folders, size) if folders else []
    write_experiment(out, rows, made_at(folders))
    if course is not None and folders:
        write_course(folders, course)
    print(f"{out}: {len(rows)} rows")


@app.command()
def effects(size: list[str] = ["small", "medium", "large"]) -> None:  # noqa: B006
    """Say how each cell came out, and in what it differs from the cell beside which it stands."""
    from refutable.experiments.table import load_experiment
    from refutable.twins.report import lines, report

    found = load_experiment("twins")
    for one in size:
        print("\n".join(lines(report(found, one))))


@app.command()
def measure(
    weights: Annotated[list[Path], typer.Argument(help="files SIZE.CELL.SEED.safetensors that `train` kept")],
    data: Annotated[Path, typer.Option(help="folder of tokens, for the prompts and the held-out loss")] = DATA,
) -> None:
    """Say what each twin's weights come to: every outcome of the experiment, and the held-out loss."""
    from refutable.twins.card import twin_of
    from refutable.twins.measured import outcomes_of_weights

    for path in weights:
        twin = twin_of(path.name.removesuffix(".safetensors"))
        print(twin.name)
        for name, value in outcomes_of_weights(path, twin, data / str(twin.size.vocabulary)).items():
            print(f"  {name:32}{value:.6f}")


@app.command()
def card(
    weights: Annotated[list[Path], typer.Argument(help="files SIZE.CELL.SEED.safetensors that `train` kept")],
    runs: Annotated[list[Path], typer.Option(help="folders of tables that hold these twins")],
    out: Annotated[Path, typer.Option(help="where each twin's folder is made")],
    data: Path = DATA,
) -> None:
    """Make a folder that transformers loads out of each twin's weights, with a model card."""
    from refutable.twins.card import row_of, twin_of, write_card, write_rows
    from refutable.twins.results import facts_of

    recorded = json.loads((Path(__file__).parent / "recorded" / "corpus.json").read_text(encoding="utf-8"))
    rows = {}
    for path in sorted(weights):
        twin = twin_of(path.name.removesuffix(".safetensors"))
        baselines = recorded["baselines_nats_per_token"][str(twin.size.vocabulary)]
        five_gram = min(value for name, value in baselines.items() if name.startswith("5-gram"))
        facts = {**facts_of(runs, twin), "unigram": baselines["unigram"], "five_gram": five_gram}
        folder = write_card(path, data / str(twin.size.vocabulary), out, facts)
        rows[folder.name] = row_of(folder, twin, facts["parameters"])
        print(f"{folder}: held-out loss {facts['held_out']:.3f}")
    write_rows(out, rows)


def _pack(files: list[Path], out: Path, name: str, most: int | None = None) -> list[str]:
    """Put files into as many archives as are needed, none over `LARGEST`, and return what to say of them."""
    archives: list[list[Path]] = []
    told = []
    for file in files:
        if file.stat().st_size > LARGEST:
            told.append(f"{file.name} is too large to be carried away ({file.stat().st_size / 2**20:.0f} MiB)")
        elif archives and sum(one.stat().st_size for one in [*archives[-1], file]) < LARGEST:
            archives[-1].append(file)
        elif most is None or len(archives) < most:
            archives.append([file])
        else:
            told.append(f"{file.name} is not carried away: {most} archives are full")
    for number, some in enumerate(archives):
        with tarfile.open(out / f"{name}-{number}.tar", "w") as archive:
            for file in some:
                archive.add(file, file.name)
    return told


def _unpack(folders: list[Path], state: Path) -> None:
    """Take checkpoints out of the archives of earlier runs."""
    for folder in folders:
        for path in sorted(folder.glob("checkpoints-*.tar")):
            with tarfile.open(path) as archive:
                archive.extractall(state, filter="data")
        for path in folder.glob("*.npz"):
            shutil.copy2(path, state)


def _device(asked: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Run the command; an error of ours is one message."""
    try:
        app(standalone_mode=True)
    except TwinsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
