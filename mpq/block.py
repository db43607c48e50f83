"""A block's way: its samples are read once, coded once for each setting, and every model answers on that decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mpq import engine
from mpq.codecs.base import Codec, CodecError, Transmission
from mpq.codecs.none import NoCodec
from mpq.datasets.base import Dataset
from mpq.samples import SampleError
from mpq.tasks.base import Task


@dataclass(frozen=True)
class Slot:
    """One cell to fill: its hash, and its places among the codecs and models."""

    cell: str
    codec: int
    model: int


@dataclass
class Inputs:
    """What one model is asked. ready: position in the block -> the decoded sample as the model takes it.

    errors: position -> why this model cannot be asked about that sample.
    """

    ready: dict[int, Any]
    errors: dict[int, str]


@dataclass
class Piece:
    """A block's samples after one codec setting: what a scorer needs, and nothing that is heavy to send.

    rows: one a sample, without the models' part. inputs: for each model that a cell of this setting needs.
    """

    codec: int
    block: engine.Block
    rows: list[dict[str, Any]]
    inputs: dict[int, Inputs]


@dataclass
class BlockJob:
    """The engine's job: everything here is small and pickled into each worker, which loads the models itself."""

    task: Task
    sources: Dataset
    codecs: list[Codec]
    models: list[tuple[str, Path | None]]
    weights: list[str]
    targets: list[list[dict[str, Any]]]
    similarity: tuple[str, ...]
    missing: dict[int, list[Slot]]
    device: str = "cpu"
    _loaded: list[Any] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": []}

    def open(self, threads: int, *, scores: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        if not self._loaded:
            self._loaded = [self.task.load(spec, weights) for spec, weights in self.models]
        if scores:
            self._loaded = [model.on(self.device) for model in self._loaded]
        else:  # where blocks are only coded, the models' preprocessing is all that is needed
            self._loaded = [model.without_network() for model in self._loaded]

    def code(self, block: engine.Block) -> Iterator[Piece]:
        slots = self.slots(block)
        wanted = {slot.codec for slot in slots}
        models = {slot.model for slot in slots}
        originals = [self._read(self.sources.sources[i].read) for i in block]
        digests = [None if isinstance(o, str) else sha256(o.stored or b"").hexdigest() for o in originals]
        for c, codec in enumerate(self.codecs):
            # The baseline is always coded: its answers are what fidelity is measured against.
            if c in wanted or isinstance(codec, NoCodec):
                needed = models if isinstance(codec, NoCodec) else {s.model for s in slots if s.codec == c}
                yield self._piece(c, block, originals, digests, needed)

    def slots(self, block: engine.Block) -> list[Slot]:
        return list(dict.fromkeys(slot for i in block for slot in self.missing.get(i, [])))

    def _piece(
        self, c: int, block: engine.Block, originals: list[Any], digests: list[str | None], models: set[int]
    ) -> Piece:
        codec = self.codecs[c]
        there = {p: original for p, original in enumerate(originals) if not isinstance(original, str)}
        sent = dict(zip(there, codec.transmit_all(list(there.values())), strict=True))
        rows: list[dict[str, Any]] = []
        decoded: dict[int, Any] = {}
        for position, (i, original) in enumerate(zip(block, originals, strict=True)):
            row: dict[str, Any] = {
                "sample": self.sources.sources[i].id,
                "source_sha256": digests[position],
                "dataset": self.sources.name,
                "codec": codec.name,
                "setting": codec.setting,
            }
            rows.append(row)
            if isinstance(original, str):
                row["error"] = f"source: {original}"
                continue
            row |= self.task.medium.described(original)
            result = sent[position]
            if isinstance(result, CodecError):
                row["error"] = f"codec: {result}"
                continue
            row |= self._measured(original, result)
            decoded[position] = result.decoded
        return Piece(c, block, rows, {m: self._inputs(m, decoded) for m in sorted(models)})

    def _read(self, read: Callable[[], bytes]) -> Any:
        """A sample, or why there is none."""
        try:
            return self.task.medium.read(read())
        except SampleError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _inputs(self, m: int, samples: dict[int, Any]) -> Inputs:
        inputs = Inputs({}, {})
        for position, sample in samples.items():
            try:
                inputs.ready[position] = self.task.prepared(self._loaded[m], sample)
            except SampleError as error:
                inputs.errors[position] = str(error)
            except Exception as error:  # memory, say, where the shorter of very unequal sides is enlarged
                inputs.errors[position] = f"preprocessing {sample.extent}: {type(error).__name__}"
        return inputs

    def _measured(self, original: Any, sent: Transmission) -> dict[str, Any]:
        measures = (self.task.medium.similarities[name] for name in self.similarity)
        return {
            "bits": sent.bitstream.bits,
            "payload_bits": sent.bitstream.payload_bits,
            "encode_ms": sent.encode_ms,
            "decode_ms": sent.decode_ms,
            "decoded_from": sent.decoded_from,
            **{s.column: s.measure(original, sent.decoded) for s in measures},
        }

    def scorer(self) -> Callable[[Piece], engine.Rows]:
        # (model, sample) -> what is kept of the answer on the original
        reference: dict[tuple[int, int], Any] = {}
        truths: dict[int, Any] = {}  # sample -> what is right, or why that is not known

        def scored(m: int, i: int, answer: Any) -> dict[str, Any]:
            if i not in truths:
                truths[i] = self._truth(i)
            if isinstance(truths[i], _Unknown):
                return {"error": f"source: {truths[i].why}"}
            if (m, i) not in reference:
                return {"error": "model: no answer on the original"}
            return self.task.scored(answer, self.targets[m][i], truths[i], reference[m, i])

        def score(piece: Piece) -> engine.Rows:
            rows: engine.Rows = []
            baseline = isinstance(self.codecs[piece.codec], NoCodec)
            for m, inputs in piece.inputs.items():
                answers = self._answers(self._loaded[m], inputs)
                if baseline:
                    for p, answer in answers.items():
                        reference[m, piece.block[p]] = self.task.kept(answer)
                for position, i in enumerate(piece.block):
                    cell = next(
                        (s.cell for s in self.missing.get(i, []) if s.codec == piece.codec and s.model == m),
                        None,
                    )
                    if cell is None:
                        continue
                    row = {**piece.rows[position], "cell": cell, "model": self.models[m][0]}
                    row |= {"weights_sha256": self.weights[m], **self.targets[m][i]}
                    if position in inputs.errors:
                        row["error"] = f"model: {inputs.errors[position]}"
                    elif position in answers:
                        row |= scored(m, i, answers[position])
                    rows.append(row)
            return rows

        return score

    def _truth(self, i: int) -> Any:
        try:
            return self.task.truth(self.sources, self.sources.sources[i])
        except SampleError as error:
            return _Unknown(str(error))
        except OSError as error:
            return _Unknown(f"cannot be read: {error.strerror}")

    def _answers(self, model: Any, inputs: Inputs) -> dict[int, Any]:
        """Position -> an answer; what goes wrong is added to ``inputs.errors``."""
        if not inputs.ready:
            return {}
        try:
            given = self.task.answers(model, list(inputs.ready.values()))
        except Exception as error:  # memory, say, or a network that cannot take such an input
            if len(inputs.ready) == 1:
                reason = " ".join(str(error).split())[:200]
                inputs.errors.update(dict.fromkeys(inputs.ready, f"{type(error).__name__}: {reason}"))
                return {}
            alone = [Inputs({position: one}, inputs.errors) for position, one in inputs.ready.items()]
            return {p: answer for one in alone for p, answer in self._answers(model, one).items()}
        answers = {}
        for position, answer in zip(inputs.ready, given, strict=True):
            if why := self.task.unusable(answer):
                inputs.errors[position] = why
            else:
                answers[position] = answer
        return answers

    def lost(self, block: engine.Block, reason: str) -> engine.Rows:
        return [
            {
                "cell": slot.cell,
                "sample": self.sources.sources[i].id,
                "dataset": self.sources.name,
                "codec": self.codecs[slot.codec].name,
                "setting": self.codecs[slot.codec].setting,
                "model": self.models[slot.model][0],
                "weights_sha256": self.weights[slot.model],
                **self.targets[slot.model][i],
                "error": f"worker: {reason}",
            }
            for i in block
            for slot in self.missing.get(i, [])
        ]


@dataclass(frozen=True)
class _Unknown:
    why: str
