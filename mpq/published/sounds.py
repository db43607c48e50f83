"""Common Voice and MUSDB18-HQ, each through three codecs."""

from __future__ import annotations

from mpq.published.experiment import Coder, Data, Experiment, Numbers, Place

CODERS = {
    "mp3": Coder("MP3", "mp3:bitrate=32000", differences=("mp3",)),
    "opus": Coder("Opus 6k", "opus:bitrate=6000"),
    "encodec": Coder("EnCodec 6k", "encodec:model=48khz,bitrate=6000", "codes", ("codes",)),
}


def _sounds(
    name: str, cells: tuple[str, str], psnr: tuple[float, ...], cdpam: tuple[float, ...], part: str
) -> tuple[Numbers, ...]:
    """The similarities of sounds, MP3's first."""
    first, second = (Place(f"{name}_quality", cell) for cell in cells)
    return (
        Numbers("psnr", "", "PSNR", (None, *psnr), first, "mean", differences=("unmeasured", part)),
        Numbers(
            "cdpam",
            "cdpam",
            "−10 log10 CDPAM",
            (None, *cdpam),
            second,
            "dB of mean",
            differences=("cdpam", part),
        ),
    )


def _wer(model: str, values: tuple[float, ...]) -> tuple[Numbers, ...]:
    """The published word error rates, and beside them room for ours."""
    place = Place("audio_speech_recognition", "9")
    return (
        Numbers(model, "raw_wer", "raw WER", values, place, differences=("raw", "language")),
        Numbers(model, "wer", "WER", (None,) * len(values), place),
    )


COMMON_VOICE = Experiment(
    "common-voice",
    "Common Voice 11, English",
    "speech",
    800,
    Data(
        "Common Voice 11.0, en, of commonvoice.mozilla.org",
        "--data common-voice=DIR, the folder with clips/ and dev.tsv",
        "the first 802 of dev.tsv in the hub's order without the 362nd and the 711th from 0; of a folder's, 800 are drawn",
        r"common_voice_en_\d+",
        "common_voice_11_0",
        whole=False,
    ),
    {"whisper-medium": "hf:openai/whisper-medium", "whisper-tiny": "hf:openai/whisper-tiny"},
    CODERS,
    (
        *_wer("whisper-medium", (0.15111052, 0.19275516, 0.24643046, 0.20491803)),
        *_wer("whisper-tiny", (0.32112639, 0.4617927, 0.54561079, 0.49788472)),
        *_sounds(
            "common_voice",
            ("7", "8"),
            (33.8984, 26.7026, 29.0428),
            (37.8998, 38.2791, 46.3422),
            "hundred",
        ),
    ),
    (0.6700, 0.1470, 0.1262),
    Place("audio_speech_recognition", "11"),
    per_sample=48.0,  # one channel at 48 kHz
)


MUSDB = Experiment(
    "musdb",
    "MUSDB18-HQ",
    "separation",
    50,
    Data(
        "zenodo.org/records/3338373",
        "--data musdb=DIR",
        "the 50 test tracks",
        called="musdb18-hq-test",
    ),
    {"htdemucs": "demucs:htdemucs"},
    CODERS,
    (
        Numbers(
            "htdemucs",
            "sdr",
            "SDR",
            (6.28655, 3.44063, 0.298628, 2.96884),
            Place("audio_source_separation", "7 and 10"),
            differences=("sdr", "htdemucs"),
            of_codecs=(("opus", "opus-48k"),),
        ),
        *_sounds(
            "musdb18",
            ("6", "7"),
            (29.1716, 22.1709, 24.956),
            (38.4322, 36.4664, 45.3344),
            "beginnings",
        ),
    ),
    (0.362873, 0.0661556, 0.0687138),
    Place("musdb18_quality", "8"),
    per_sample=88.2,  # two channels at 44.1 kHz
)
