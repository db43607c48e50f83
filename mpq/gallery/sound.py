"""Sound: originals and decodes to be played; of speech, what was heard in them, word by word."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from mpq.audio import AudioSample
from mpq.audio_files import wav
from mpq.gallery.base import Budget, Gallery, own_score
from mpq.gallery.choice import EqualRate, most_lost, several, telling_and_drawn
from mpq.gallery.pictures import rate_of
from mpq.gallery.recoding import Gone, Material
from mpq.gallery.transcripts import Transcripts
from mpq.report import rate as shown_rate
from mpq.summary import Point
from reports.content import Clip, ClipRow, Clips

ROWS = 4

PLAYED = (".mp3", ".opus", ".m4a", ".ogg")
"""Endings of bitstreams that browsers play by themselves."""

SHORTEST = 2.0
"""Seconds. What would have to be cut to less, so that it fits, is not played at all."""


def gallery(material: Material, chosen: EqualRate, points: Sequence[Point], budget: Budget) -> Gallery:
    """A row a sample: the original, and what is left of it, most bits first: of speech at several settings."""
    baseline = material.baseline
    speech = material.task.name == "speech"
    shown = several(points, chosen.points) if speech else several(chosen.points, ())
    there = material.scored([baseline, *shown])
    samples = telling_and_drawn(most_lost(material.group, shown, there), there, ROWS)
    made, rows, gone = Gallery(), [], []
    transcripts = None
    if speech:
        try:
            transcripts = Transcripts(material)
        except Gone as error:
            made.notes.append(f"What was heard cannot be shown word by word: {error}.")
    each = budget.bytes // max(1, len(samples))
    for sample, drawn in samples.items():
        if not budget.take_seconds(material, shown, sample):
            break
        clips, why = _clips(material, [baseline, *shown], sample, transcripts, each)
        gone += why
        if clips:
            title = f"{material.name(sample)} · {drawn or 'loses most'}"
            rows.append(ClipRow(title, clips, transcripts.reference(sample) if transcripts else ""))
    if rows:
        if not speech:
            note = f"Each codec's setting nearest to {shown_rate(chosen.rate)} {material.group.rate.title}, {chosen.why}."
        elif len(shown) < len(points):
            note = f"{len(shown)} of {len(points)} settings: those nearest to one rate, and the cheapest."
        else:
            note = "All settings."
        note += " Most bits first. First the samples that lose most, then some that were drawn."
        note += f" {transcripts.note}" if transcripts else ""
        heading = "What was heard" if transcripts else "Originals and decodes"
        made.figures.append(Clips(heading, rows, note))
    made.gone("Some sounds", gone)
    return made


def _clips(
    material: Material, points: Sequence[Point], sample: int, transcripts: Transcripts | None, most: int
) -> tuple[list[Clip], list[str]]:
    """Clips of the original (first of ``points``) and of decodes, in ``most`` bytes; why some cannot be played.

    Where words are known a clip is there in any case.
    """
    baseline = points[0]
    sounds: dict[str, AudioSample] = {}
    files: dict[str, bytes] = {}
    gone: list[str] = []
    for point in points:
        try:
            if point is baseline:
                sounds[point.spec] = material.original(sample)
                files[point.spec] = flac(sounds[point.spec])
            else:
                data, sounds[point.spec] = material.coded(point, sample)
                own = material.codec(point).extension in PLAYED
                files[point.spec] = data if own else flac(sounds[point.spec])
        except Gone as error:
            gone.append(str(error))
    cut = ""
    if (size := sum(map(len, files.values()))) > most:
        files = {spec: flac(sound) for spec, sound in sounds.items()}
        longest = max(sound.seconds for sound in sounds.values())
        seconds = 0.9 * longest * most / sum(map(len, files.values()))
        whole = size
        files = {spec: flac(_middle(sound, seconds)) for spec, sound in sounds.items()}
        if seconds < SHORTEST or sum(map(len, files.values())) > most:
            files = {}
            gone.append(f"{material.name(sample)} would take {whole / 1e6:.1f} MB")
        else:
            cut = f"{seconds:.0f} s from the middle"
    clips = []
    for point in points:
        file = files.get(point.spec)
        if file is None and transcripts is None:
            continue
        caption = "original" if point is baseline else point.spec
        words = transcripts.heard(point, sample) if transcripts else []
        rate = rate_of(material, point, sample)
        said = transcripts.counted(words) if transcripts else own_score(material, point, sample)
        subtitle = " · ".join(filter(None, (rate, said, cut if file else "")))
        clips.append(Clip(file, f"{material.name(sample)}, {caption}", caption, subtitle, words))
    return clips, gone


def flac(sound: AudioSample) -> bytes:
    """All that the model got of a sound, at 16 bits, in a file that browsers play and that is half as long as a WAV."""
    import soundfile

    if sound.channels > 8:  # FLAC has no more
        return wav(sound.samples, sound.rate)
    whole = np.clip(np.rint(sound.samples.T * 32768), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole, sound.rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _middle(sound: AudioSample, seconds: float) -> AudioSample:
    length = min(sound.length, max(1, int(seconds * sound.rate)))
    start = (sound.length - length) // 2
    return AudioSample(sound.samples[:, start : start + length], sound.rate)
