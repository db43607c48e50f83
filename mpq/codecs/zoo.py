"""The image codecs of CompressAI's model zoo, by their own names (Ballé 2018, Minnen 2018, Cheng 2020)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mpq.codecs.base import Parameter
from mpq.codecs.learned import WEIGHTS, LearnedCodec
from mpq.errors import UserError
from mpq.weights.sources import from_url, load_strictly, read_tensors, unlike_its_name

if TYPE_CHECKING:
    from mpq.networks.coders import Coder

METRIC = Parameter("metric", "mse", "what it was trained for", choices=("mse", "ms-ssim"))


def _quality(highest: int) -> Parameter:
    return Parameter("quality", 1, "the zoo's rate, 1 the lowest", 1, highest)


class ZooCodec(LearnedCodec):
    """One of the zoo's: eight qualities and an autoregressive coder, unless its class says otherwise."""

    licence = "BSD 3-Clause Clear"
    parameters: ClassVar[tuple[Parameter, ...]] = (_quality(8), METRIC, WEIGHTS)
    ladder = "quality=1,2,3,4,5,6,7,8"

    @property
    def url(self) -> str:
        from compressai.zoo.image import model_urls

        return model_urls[self.name][self.values["metric"]][self.values["quality"]]

    def published(self) -> Path:
        return from_url(self.url, self.spec, seeded=True)

    def prepare(self) -> list[str]:
        notes = super().prepare()
        if not self.values["weights"] and (unlike := unlike_its_name(self.file)):
            notes.append(f"{self.spec}: {unlike}")
        return notes

    def architecture(self) -> Any:
        """The network of this quality, with fresh weights."""
        from compressai.zoo.image import cfgs, model_architectures

        return model_architectures[self.name](*cfgs[self.name][self.values["quality"]])

    def load(self, path: Path) -> Coder:
        from compressai.models.utils import remap_old_keys
        from compressai.zoo.pretrained import load_pretrained

        from mpq.networks.entropy import TABLES, make_tables

        try:
            tensors = remap_old_keys("entropy_bottleneck", load_pretrained(read_tensors(path)))
        except IndexError:  # CompressAI takes names apart without looking
            raise UserError(f"{path} does not fit {self.spec}: its names are not the zoo's") from None
        network = self.architecture()
        for name, buffer in list(network.named_buffers()):
            if name.endswith(TABLES):
                # The tables in a file have sizes of their own; a file saved before they were made has none.
                owner, _, table = name.rpartition(".")
                kept = tensors.setdefault(name, buffer)
                setattr(network.get_submodule(owner), table, kept.clone())
        load_strictly(network, tensors, path, self.spec)
        make_tables(network.eval().requires_grad_(False), path)
        return self.coder_of(network)

    def coder_of(self, network: Any) -> Coder:
        from mpq.networks.autoregressive import AutoregressiveCoder

        return AutoregressiveCoder(network)


class Factorized(ZooCodec):
    name = "bmshj2018-factorized"
    summary = "CompressAI: factorised prior"

    def coder_of(self, network: Any) -> Coder:
        from mpq.networks.coders import FactorizedCoder

        return FactorizedCoder(network)


class ScaleHyperprior(ZooCodec):
    name = "bmshj2018-hyperprior"
    summary = "CompressAI: scale hyperprior"
    means = False

    def coder_of(self, network: Any) -> Coder:
        from mpq.networks.coders import HyperpriorCoder

        return HyperpriorCoder(network, means=self.means)


class MeanScaleHyperprior(ScaleHyperprior):
    name = "mbt2018-mean"
    summary = "CompressAI: mean and scale hyperprior"
    means = True


class JointAutoregressive(ZooCodec):
    name = "mbt2018"
    summary = "CompressAI: hyperprior and autoregressive context"


class ChengAnchor(ZooCodec):
    name = "cheng2020-anchor"
    summary = "CompressAI: residual blocks and context"
    parameters = (_quality(6), METRIC, WEIGHTS)
    ladder = "quality=1,2,3,4,5,6"


class ChengAttention(ChengAnchor):
    name = "cheng2020-attn"
    summary = "CompressAI: the same with attention"
