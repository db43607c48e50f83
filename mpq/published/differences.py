"""What keeps published numbers from being compared with ours, by a short name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A sentence. other: what was measured there is another quantity, or was coded otherwise: no agreement is owed."""

    sentence: str
    other: bool = False


DIFFERENCES = {
    "bytes": Difference(
        "HiFiC's rate is printed in bytes a pixel: utils.py leaves out the 8. Corrected: × 8, so that HiFiC does not "
        "lie below WebP and mbt2018."
    ),
    "strings": Difference(
        "mbt2018's rate is of its two strings alone; ours also holds the picture's size and the container."
    ),
    "codes": Difference(
        "EnCodec's rate is of its codes alone: the scales that the 48 kHz model cannot decode without, 32 bits for each "
        "6,000 of codes, are left out. Corrected: × 1.0053; ours also holds a header."
    ),
    "mp3": Difference(
        "compression=8.0 is no VBR quality 8: to SoX a positive number is kbps, and LAME's least at 44.1 and 48 kHz is "
        "32 kbps, which the printed rates are, of mono and of stereo alike. So the plan says bitrate=32000."
    ),
    "hific": Difference(
        "The published pictures are of TensorFlow Compression's hific-lo. Ours are of the same network and target with "
        "Justin Tan's weights: another coder.",
        other=True,
    ),
    "border": Difference(
        "mbt2018's pictures kept the black margin that fills them up to multiples of 64 pixels (ADE20K's masks were "
        "stretched with it): the crop came into utils.py two days after the last of these runs.",
        other=True,
    ),
    "grey": Difference("Grey pictures went to JPEG as grey ones; here all are coded in colour."),
    "interpolated": Difference(
        "Masks were enlarged four times by interpolating class numbers, as if class 4 lay between 3 and 5, which draws "
        "lines of foreign classes around everything; and pictures went in at their own size. Ours enlarges logits.",
        other=True,
    ),
    "micro": Difference(
        "The notebook's last state averages each picture's micro Jaccard instead, of pictures that are squeezed to "
        "512 × 512 and not normalised as SegFormer was trained. Ours are normalised.",
        other=True,
    ),
    "raw": Difference(
        "Its WER counts case and punctuation as errors, Σ errors / 7,564 words: ours beside it does, too. After "
        "Whisper's normaliser, which is what Whisper's WERs usually mean, ours is the row WER."
    ),
    "language": Difference("There each clip's language is guessed by Whisper; here it is told English."),
    "opus-48k": Difference(
        "Opus was told 48 kHz of music at 44.1 kHz, which it therefore heard 9 % too fast; here it is told what is true.",
        other=True,
    ),
    "sdr": Difference(
        "Its SDR is the mean over all windows (2 s, a new one every 1.5 s), stems and tracks at once; ours is the mean "
        "over stems of the median over tracks of the median over seconds, as is usual.",
        other=True,
    ),
    "htdemucs": Difference(
        "The README says Demucs v3; the notebook calls Separator(), which v3 has not, and which without a name is "
        "htdemucs in all versions that have it. So the plan says demucs:htdemucs."
    ),
    "lpips": Difference(
        "Its LPIPS (piq's, by VGG16) was fed pictures of 0 to 255 where 0 to 1 is meant; ours is in range.",
        other=True,
    ),
    "cdpam": Difference(
        "Its CDPAM was fed sound at 44.1 or 48 kHz of full scale 1 where 22.05 kHz of full scale 32,768 is meant; ours "
        "is brought to that.",
        other=True,
    ),
    "few": Difference("These are three pictures' means.", other=True),
    "hundred": Difference("These are of the first 100 clips.", other=True),
    "beginnings": Difference("These are of the first 5,000,000 samples of each track.", other=True),
    "unmeasured": Difference("PSNR of sound, with a peak of 1, is not measured here: see snr and si-sdr."),
}
