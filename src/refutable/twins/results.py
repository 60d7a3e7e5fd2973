"""What runs leave: a file for each finished twin, and small tables of all of them.

`blocks.parquet` holds each prompt's primitives (`snapshot.COLUMNS`) at step 0 and at the last step; `course.parquet`
every snapshot's, averaged over the prompts: the mean log of what is a length or a sum of squares, the mean cosine of
what is an inner product, the mean of the rest. `training.parquet` holds the loss and gradient norm of every step, and
`twins.parquet` one row for each twin and snapshot with the held-out loss.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refutable.twins.design import Twin
from refutable.twins.errors import TwinsError
from refutable.twins.snapshot import COLUMNS
from refutable.twins.trainer import Record

COSINES = {
    "attention_mlp": ("attention", "mlp"),
    "input_attention": ("input", "attention"),
    "input_mlp": ("input", "mlp"),
}
PLAIN = ("entropy", "first")
BITS = 14  # of the numbers that are published: a log of a length to 0.0002


def save_record(folder: Path, twin: Twin, record: Record, about: dict[str, Any]) -> None:
    """Write a finished twin's record, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{twin.name}.npz"
    beside = path.with_suffix(".part")
    told = {**about, "last_held_out": record.last_held_out, "seconds": record.seconds, "name": twin.name}
    with beside.open("wb") as file:
        np.savez(
            file,
            steps=np.array(record.steps),
            blocks=np.stack(record.blocks),  # (snapshots, prompts, blocks, columns)
            held_out=np.array(record.held_out),
            loss=record.loss,
            norm=record.norm,
            about=np.array(json.dumps(told)),
        )
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def course_of(blocks: np.ndarray) -> np.ndarray:
    """Return a snapshot's columns averaged over prompts, (blocks, columns), from (prompts, blocks, columns)."""
    at = {name: blocks[..., i].astype(np.float64) for i, name in enumerate(COLUMNS)}
    averaged = []
    for name in COLUMNS:
        if name in COSINES:
            first, second = COSINES[name]
            averaged.append((at[name] / (at[first] * at[second])).mean(0))
        elif name in PLAIN:
            averaged.append(at[name].mean(0))
        else:
            averaged.append(np.log(at[name]).mean(0))
    return np.stack(averaged, axis=-1).astype(np.float32)


def write_tables(records: Sequence[Path], out: Path) -> None:
    """Write the four tables of some records into a folder."""
    tables: dict[str, list[pa.Table]] = {"blocks": [], "course": [], "training": [], "twins": []}
    for path in sorted(records):
        kept = np.load(path)
        about = json.loads(str(kept["about"]))
        size, cell, seed = _named(about["name"])
        steps, blocks = kept["steps"], kept["blocks"]
        _, prompts, layers, _ = blocks.shape

        def table(rows: int, columns: dict[str, Any], who: tuple[str, str, int] = (size, cell, seed)) -> pa.Table:
            names = {"size": who[0], "cell": who[1], "seed": who[2]}
            fixed = {name: pa.array([value] * rows).dictionary_encode() for name, value in names.items()}
            return pa.table({**fixed, **{name: pa.array(values) for name, values in columns.items()}})

        ends = blocks[[0, -1]]  # (2, prompts, blocks, columns)
        tables["blocks"].append(
            table(
                ends[..., 0].size,
                {
                    "step": np.repeat(steps[[0, -1]], prompts * layers).astype(np.int32),
                    "prompt": np.tile(np.repeat(np.arange(prompts), layers), 2).astype(np.int16),
                    "layer": np.tile(np.arange(1, layers + 1), 2 * prompts).astype(np.int16),
                    **{name: ends[..., i].ravel() for i, name in enumerate(COLUMNS)},
                },
            )
        )
        course = np.stack([course_of(one) for one in blocks])  # (snapshots, blocks, columns)
        tables["course"].append(
            table(
                course[..., 0].size,
                {
                    "step": np.repeat(steps, layers).astype(np.int32),
                    "layer": np.tile(np.arange(1, layers + 1), len(steps)).astype(np.int16),
                    **{name: course[..., i].ravel() for i, name in enumerate(COLUMNS)},
                },
            )
        )
        count = len(kept["loss"])
        per_step = {"step": np.arange(count, dtype=np.int32), "loss": kept["loss"], "norm": kept["norm"]}
        tables["training"].append(table(count, per_step))
        last = [None] * (len(steps) - 1) + [about["last_held_out"]]
        own = {"step": steps.astype(np.int32), "held_out": kept["held_out"].astype(np.float32), "last_held_out": last}
        facts = {
            name: [about[name]] * len(steps)
            for name in ("parameters", "tokens", "device", "torch", "corpus", "seconds", "made")
        }
        tables["twins"].append(table(len(steps), {**own, **facts}))
    out.mkdir(parents=True, exist_ok=True)
    for name, some in tables.items():
        if some:
            unified = pa.concat_tables(some).unify_dictionaries().combine_chunks()
            pq.write_table(unified, out / f"{name}.parquet", compression="zstd", compression_level=9)


def write_course(folders: Sequence[Path], out: Path) -> None:
    """Write the trajectories of all twins of some runs: course.parquet, rounded to `BITS`, and twins.parquet."""
    out.mkdir(parents=True, exist_ok=True)
    course = pa.concat_tables([pq.read_table(folder / "course.parquet") for folder in folders]).unify_dictionaries()
    numbers = [name for name in course.schema.names if pa.types.is_float32(course[name].type)]
    kept = {name: course[name].combine_chunks() for name in course.schema.names}
    kept |= {name: pa.array(_rounded(course[name].to_numpy())) for name in numbers}
    names = ["size", "cell"]
    pq.write_table(
        pa.table(kept),
        out / "course.parquet",
        compression="zstd",
        compression_level=19,
        use_byte_stream_split=numbers,
        use_dictionary=names,
    )
    twins = pa.concat_tables([pq.read_table(folder / "twins.parquet") for folder in folders]).unify_dictionaries()
    pq.write_table(twins, out / "twins.parquet", compression="zstd", compression_level=19)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return float32 numbers whose significands are rounded to `BITS` bits, which packs them closer."""
    drop = 23 - BITS
    bits = values.astype(np.float32).view(np.uint32)
    rounded: np.ndarray = ((bits + np.uint32(1 << (drop - 1))) & ~np.uint32((1 << drop) - 1)).view(np.float32)
    return rounded


def finished(folders: Sequence[Path]) -> set[str]:
    """Return the names of twins whose record lies in one of these folders, or in a twins.parquet there."""
    names: set[str] = set()
    for folder in folders:
        names |= {path.name.removesuffix(".npz") for path in folder.glob("*.npz")}
        if (folder / "twins.parquet").is_file():
            table = pq.read_table(folder / "twins.parquet", columns=["size", "cell", "seed"]).to_pylist()
            names |= {f"{row['size']}.{row['cell']}.{row['seed']}" for row in table}
    return names


def facts_of(folders: Sequence[Path], twin: Twin) -> dict[str, Any]:
    """Return a finished twin's number of parameters and final held-out loss, from the tables of some runs.

    Raises:
        TwinsError: no table has it.
    """
    for folder in folders:
        if (folder / "twins.parquet").is_file():
            for row in pq.read_table(folder / "twins.parquet").to_pylist():
                is_it = (row["size"], row["cell"], row["seed"]) == (twin.size.name, twin.cell.name, twin.seed)
                if is_it and row["last_held_out"] is not None:
                    return {"parameters": row["parameters"], "held_out": row["last_held_out"]}
    raise TwinsError(
        f"{twin.name} is in no twins.parquet of {', '.join(map(str, folders))}; name the run that trained it"
    )


def _named(name: str) -> tuple[str, str, int]:
    size, _, rest = name.partition(".")
    cell, _, seed = rest.rpartition(".")
    return size, cell, int(seed)
