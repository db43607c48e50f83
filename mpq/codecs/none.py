"""No codec: the baseline that every other setting is compared with."""

from __future__ import annotations

from mpq.audio import AudioSample, read_audio
from mpq.codecs.base import Bitstream, Codec, CodecError, Transmission
from mpq.samples import ImageSample, SampleError, read_image


class NoCodec(Codec):
    """The stored file itself is the bitstream, so its rate is what keeping the original costs now."""

    name = "none"
    summary = "the original file as it is stored: the baseline, always in the plan"
    takes = ("image", "audio")
    extension = ".original"
    version = "1"

    def encode(self, sample: ImageSample | AudioSample) -> Bitstream:
        if sample.stored is None:
            raise CodecError("none: this sample was not read from a file")
        return Bitstream(sample.stored, 8 * len(sample.stored))

    def decode(self, data: bytes) -> ImageSample | AudioSample:
        try:
            return read_image(data)
        except SampleError as error:
            try:
                return read_audio(data)
            except SampleError as other:
                raise CodecError(f"{error}; {other}") from error

    def transmit(self, sample: ImageSample | AudioSample) -> Transmission:
        # The sample *is* the decoded file: decoding it once more would only cost time.
        return Transmission(self.encode(sample), sample, 0.0, 0.0, "encoder")
