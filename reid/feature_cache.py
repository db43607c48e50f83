"""Features kept on disk by content, so that the same crop is asked once of the same backbone.

    CACHE/IDENTITY/HASH.npz   some crops' keys and features; IDENTITY is of all that shapes a feature but the
                              crop, HASH of the file itself

Files are immutable and renamed into place whole; several processes may fill one folder. A file that is not what
its name says is removed, and what it held is computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mpq.errors import UserError
from mpq.files import write_whole

FORMAT = 1
"""Of the files and of the way from a picture to a feature; another one makes older files unseen."""

KEY = 32
"""Bytes of a crop's key, a sha256."""

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "machine-perceptual-quality" / "features"
"""Where features are kept unless told."""


class FeatureCache:
    """The features of one identity in ``folder``. Raises UserError where it cannot be made there."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        canonical = json.dumps({"format": FORMAT, **identity}, sort_keys=True, separators=(",", ":"))
        self.folder = folder.expanduser() / hashlib.sha256(canonical.encode()).hexdigest()[:24]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            said = self.folder / "identity.json"  # for people who wonder what a folder is
            if not said.exists():
                write_whole(said, json.dumps(dict(identity), indent=1, sort_keys=True).encode())
        except OSError as error:
            raise UserError(
                f"features cannot be kept in '{folder}': {error.strerror}; --no-cache does without"
            ) from None

    def read(self) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Keys and features (n, D) float32 of each file, one at a time."""
        for path in sorted(self.folder.glob("*.npz")):
            try:
                data = path.read_bytes()
            except OSError:  # another process removed it
                continue
            if hashlib.sha256(data).hexdigest() != path.stem:
                path.unlink(missing_ok=True)
                continue
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                yield [bytes(key) for key in archive["keys"]], archive["features"]

    def write(self, keys: list[bytes], features: np.ndarray) -> None:
        """Keeps (n, D) features. Raises OSError."""
        buffer = io.BytesIO()
        np.savez(buffer, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY), features=features)
        data = buffer.getvalue()
        write_whole(self.folder / f"{hashlib.sha256(data).hexdigest()}.npz", data)
