"""Descript's audio codec, DAC (Kumar et al. 2023, "High-Fidelity Audio Compression with Improved RVQGAN")."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.codecs.base import Parameter, Value
from mpq.codecs.neural_audio import FOLDER, NeuralAudioCodec, read_network
from mpq.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from mpq.networks.audio_coders import AudioCoder

CODEBOOKS = {"16khz": 12, "24khz": 32, "44khz": 9}
"""Model -> how many it has, of 10 bits each, at 50, 75 and 86 frames a second."""

PIECE, CONTEXT = 512, 32
"""Frames that are coded at once, and of context on either side. The filters see about 10 frames each way."""


class DAC(NeuralAudioCodec):
    name = "dac"
    summary = (
        "Descript's audio codec: each codebook is 500 (16khz), 750 (24khz) or 861 (44khz) bit/s a channel"
    )
    licence = "MIT"
    repositories: ClassVar[dict[str, str]] = {model: f"descript/dac_{model}" for model in CODEBOOKS}
    rates: ClassVar[dict[str, int]] = {"16khz": 16_000, "24khz": 24_000, "44khz": 44_100}
    parameters = (
        Parameter("model", "44khz", "which network", choices=tuple(CODEBOOKS)),
        Parameter("codebooks", 9, "how many are used, of 12 (16khz), 32 (24khz) or 9 (44khz)", 1, 32),
        FOLDER,
    )
    ladder = "codebooks=1,2,3,6,9"

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        model, codebooks = str(self.values["model"]), int(self.values["codebooks"])
        if codebooks > CODEBOOKS[model]:
            raise UserError(f"dac's {model} has {CODEBOOKS[model]} codebooks, not {codebooks}")

    def layers(self, coder: AudioCoder) -> int:
        return int(self.values["codebooks"])

    def load(self, path: Path) -> AudioCoder:
        from torch.nn import functional

        from mpq.networks.audio_coders import WholeCoder

        network = read_network("DacModel", path, self.spec)
        config = network.config
        if config.sampling_rate != self.rates[str(self.values["model"])]:
            models = [model for model, rate in self.rates.items() if rate == config.sampling_rate]
            hint = f": say model={models[0]}" if models else ""
            raise UserError(
                f"{path.parent} holds a DAC for {config.sampling_rate} Hz, which {self.spec} is not{hint}"
            )
        hop = prod(config.downsampling_ratios)  # what configurations say of their hop_length may be wrong

        def analyse(sound: Tensor, layers: int) -> tuple[Tensor, None]:
            whole = functional.pad(sound, (0, -sound.shape[1] % hop))
            return network.encode(whole[None], n_quantizers=layers).audio_codes[0], None

        def synthesise(codes: Tensor, scale: float | None) -> Tensor:
            return network.decode(audio_codes=codes[None]).audio_values

        return WholeCoder(
            analyse=analyse,
            synthesise=synthesise,
            rate=config.sampling_rate,
            channels=1,
            hop=hop,
            bits=network.bits_per_codebook,
            layers=tuple(range(1, config.n_codebooks + 1)),
            piece=PIECE,
            before=CONTEXT,
            after=CONTEXT,
            short=_short(config.upsampling_ratios),
        )


def _short(ratios: list[int]) -> int:
    """Samples by which a synthesis is shorter than frames · hop: its padding is rounded up where a ratio is odd."""
    short = 0
    for ratio in ratios:
        short = short * ratio + ratio % 2
    return short
