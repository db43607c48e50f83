"""EnCodec (Défossez et al. 2022, "High Fidelity Neural Audio Compression") through transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpq.codecs.base import Parameter, Value
from mpq.codecs.neural_audio import FOLDER, NeuralAudioCodec, read_network
from mpq.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from mpq.networks.audio_coders import AudioCoder

BITRATES = {"24khz": (1500, 3000, 6000, 12_000, 24_000), "48khz": (3000, 6000, 12_000, 24_000)}
"""Model -> bit/s that it was trained for: of a channel at 24 kHz, of a pair of channels at 48 kHz."""

PIECE, CONTEXT = 20, 2
"""Seconds that the 24 kHz network codes at once, and that it hears before them: its filters see a tenth of a second,
its LSTM forgets."""


class EnCodec(NeuralAudioCodec):
    name = "encodec"
    summary = "EnCodec: 24khz codes a channel, 48khz a pair of channels"
    licence = "MIT (48khz; the card of 24khz names none)"
    repositories: ClassVar[dict[str, str]] = {model: f"facebook/encodec_{model}" for model in BITRATES}
    rates: ClassVar[dict[str, int]] = {"24khz": 24_000, "48khz": 48_000}
    parameters = (
        Parameter("model", "24khz", "which network", choices=tuple(BITRATES)),
        Parameter("bitrate", 6000, "bit/s of a network's one or two channels", choices=BITRATES["24khz"]),
        FOLDER,
    )
    ladder = "bitrate=1500,3000,6000,12000,24000"

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        model, bitrate = str(self.values["model"]), self.values["bitrate"]
        if bitrate not in BITRATES[model]:
            raise UserError(
                f"encodec's {model} has no {bitrate} bit/s; it has {', '.join(map(str, BITRATES[model]))}"
            )

    def layers(self, coder: AudioCoder) -> int:
        return int(self.values["bitrate"]) // (coder.bits * -(-coder.rate // coder.hop))

    def load(self, path: Path) -> AudioCoder:
        import torch

        from mpq.networks.audio_coders import ChunkedCoder, WholeCoder

        network = read_network("EncodecModel", path, self.spec)
        config = network.config
        form = config.sampling_rate, config.audio_channels, config.chunk_length is not None
        wanted = (self.rates["24khz"], 1, False), (self.rates["48khz"], 2, True)
        if form not in wanted or (
            form[2] is False and (config.normalize or config.norm_type != "weight_norm")
        ):
            raise UserError(
                f"{path.parent} is neither a 24 kHz EnCodec of one channel nor a 48 kHz one of two in chunks"
            )
        model = "48khz" if form[2] else "24khz"
        if model != self.values["model"]:
            raise UserError(f"{path.parent} holds another EnCodec than {self.spec}: say model={model}")
        chunk, stride = config.chunk_length, config.chunk_stride
        config.chunk_length_s = (
            None  # chunks are cut here, so that none is sent of which all has been sent before
        )
        bandwidths = {
            network.quantizer.get_num_quantizers_for_bandwidth(b): b for b in config.target_bandwidths
        }

        def analyse(sound: Tensor, layers: int) -> tuple[Tensor, float | None]:
            sent = network.encode(sound[None], bandwidth=bandwidths[layers])
            scale = sent.audio_scales[0]
            return sent.audio_codes[0, 0], None if scale is None else float(scale)

        def synthesise(codes: Tensor, scale: float | None) -> Tensor:
            scales = [None if scale is None else torch.tensor([[scale]])]
            return network.decode(codes[None, None], scales).audio_values[0]

        common = {
            "analyse": analyse,
            "synthesise": synthesise,
            "rate": config.sampling_rate,
            "channels": config.audio_channels,
            "hop": config.hop_length,
            "bits": network.bits_per_codebook,
            "layers": tuple(sorted(bandwidths)),
        }
        if chunk is not None:
            return ChunkedCoder(**common, chunk=chunk, stride=stride or chunk, scaled=config.normalize)
        before = CONTEXT * config.frame_rate
        after = 0 if config.use_causal_conv else before
        return WholeCoder(**common, piece=PIECE * config.frame_rate, before=before, after=after)
