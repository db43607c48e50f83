"""Speech of Hugging Face data sets."""

from __future__ import annotations

from typing import Any

from mpq.datasets.hub import Columns, HubReader

TEXT_COLUMNS = ("sentence", "text", "transcription", "transcript", "normalized_text")


class HuggingFace(HubReader):
    """The first audio column, and the first column of text that is called as transcripts are, if there is one."""

    name = "hf"
    task = "speech"
    summary = "a Hugging Face data set, streamed"
    layout = "hf:OWNER/NAME[/CONFIG][@SPLIT][#COUNT], e.g. hf:openslr/librispeech_asr/clean@test; needs the network once"
    holding = "audio"

    def columns(self, features: dict[str, Any]) -> Columns | None:
        from datasets import Audio, Value

        audio = next((key for key, feature in features.items() if isinstance(feature, Audio)), None)
        if audio is None:
            return None
        text = next((key for key in TEXT_COLUMNS if isinstance(features.get(key), Value)), None)

        def said(row: dict[str, Any]) -> str | None:
            return (row[text] or "").strip() or None if text else None

        return Columns(audio, said)
