"""Autoregressive coding: CompressAI's streams, whoever walks beside a picture, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from compressai.models import Cheng2020Anchor, Cheng2020Attention, JointAutoregressiveHierarchicalPriors
from torch import Tensor

from mpq.networks.autoregressive import WINDOW, AutoregressiveCoder, Parameters, _fields, _waves
from mpq.networks.coders import Coded

SIZES = [(1, 1), (17, 33), (64, 64), (100, 200), (65, 64), (130, 70)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


def network_of(kind: str, latent: int = 24) -> Any:
    """Random weights, with latents of several values, and scales and means that differ from place to place."""
    torch.manual_seed(0)
    if kind == "mbt2018":
        network: Any = JointAutoregressiveHierarchicalPriors(N=16, M=latent)
    else:
        network = {"cheng2020-anchor": Cheng2020Anchor, "cheng2020-attn": Cheng2020Attention}[kind](N=16)
    network.eval().requires_grad_(False)
    [layer for layer in network.g_a if isinstance(layer, torch.nn.Conv2d)][-1].weight.mul_(30)
    network.h_a[-1].weight.mul_(20)
    network.entropy_parameters[-1].weight.mul_(8)
    network.update()
    return network


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


@dataclass
class Walked:
    """Pictures that took one walk, and what CompressAI makes of each."""

    network: Any
    coder: AutoregressiveCoder
    latents: list[Tensor]
    coded: list[Coded]
    theirs: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["mbt2018", "cheng2020-anchor", "cheng2020-attn"])
def walked(request: pytest.FixtureRequest, one_thread: None) -> Walked:
    network = network_of(request.param)
    coder = AutoregressiveCoder(network)
    pictures = [random(1, 3, *size, seed=i) for i, size in enumerate(SIZES)]
    latents = [coder.analyse(picture) for picture in pictures]
    theirs = [network.compress(coder.padded(picture)) for picture in pictures]
    return Walked(network, coder, latents, coder.compress(latents), theirs)


def of(theirs: dict[str, Any]) -> list[bytes]:
    y, z = theirs["strings"]
    return [y[0], z[0]]


# ---- against CompressAI


def test_the_streams_of_pictures_walked_together_are_those_that_compressai_writes(walked: Walked) -> None:
    for coded, theirs in zip(walked.coded, walked.theirs, strict=True):
        assert coded.strings == of(theirs)
    # What the test needs to tell anything: streams that say something, in more than one row of the tables.
    assert all(len(coded.strings[0]) > 400 for coded in walked.coded)
    assert len(np.unique(np.concatenate([c.symbols[0].ravel() for c in walked.coded]))) > 5
    assert len(np.unique(walked.coded[3].symbols[1])) > 2


def test_compressai_decodes_our_streams_to_the_picture_of_our_latents(walked: Walked) -> None:
    for coded, theirs in zip(walked.coded, walked.theirs, strict=True):
        strings = [[stream] for stream in coded.strings]
        shown = walked.network.decompress(strings, theirs["shape"])["x_hat"]
        held = walked.coder.synthesise(coded.y_hat)
        assert len(torch.round(255 * held).unique()) > 5
        assert torch.equal(held, shown)


def test_compressais_streams_decode_to_compressais_pictures_to_the_last_bit(walked: Walked) -> None:
    for size, theirs in zip(SIZES, walked.theirs, strict=True):
        coded = walked.coder.decompress(of(theirs), *size)
        expected = walked.network.decompress(theirs["strings"], theirs["shape"])["x_hat"]
        assert torch.equal(walked.coder.synthesise(coded.y_hat), expected)


# ---- the way back


def test_the_encoder_holds_what_the_decoder_finds(walked: Walked) -> None:
    for size, coded in zip(SIZES, walked.coded, strict=True):
        again = walked.coder.decompress(coded.strings, *size)
        assert torch.equal(again.y_hat, coded.y_hat)
        assert [s.dtype for s in again.symbols] == [s.dtype for s in coded.symbols] == [np.int32, np.int32]
        for found, held in zip(again.symbols, coded.symbols, strict=True):
            assert np.array_equal(found, held)


def test_latents_differ_from_what_was_analysed_by_at_most_one_half(walked: Walked) -> None:
    for y, coded in zip(walked.latents, walked.coded, strict=True):
        assert coded.y_hat.shape == y.shape
        assert (coded.y_hat - y).abs().max() <= 0.5 + 1e-5


def test_who_walks_beside_a_picture_changes_no_bit_of_it(walked: Walked) -> None:
    for y, together in zip(walked.latents, walked.coded, strict=True):
        (alone,) = walked.coder.compress([y])
        assert alone.strings == together.strings
        assert torch.equal(alone.y_hat, together.y_hat)
    backwards = walked.coder.compress(walked.latents[::-1])[::-1]
    assert all(torch.equal(a.y_hat, b.y_hat) for a, b in zip(backwards, walked.coded, strict=True))


@pytest.mark.parametrize("latent", [24, 192, 320])
@pytest.mark.parametrize("used", ["as tried out", "one at a time"])
def test_a_positions_parameters_are_those_of_its_window_alone(latent: int, used: str) -> None:
    """Not only as CompressAI would have them, but whatever number of positions shares a step."""
    network = network_of("mbt2018", latent)
    parameters = Parameters(network)
    if used == "one at a time":  # a machine whose kernels agree on nothing
        parameters.wide, parameters.together = [], [1]
    weight = network.context_prediction.weight * network.context_prediction.mask
    windows, hyper = random(300, 15, latent) - 0.5, random(300, 2 * latent, seed=1)
    whole = torch.zeros(300, latent, 5, 5)
    whole[:, :, :3] = windows.view(300, 3, 5, latent).permute(0, 3, 1, 2)
    checked = {*range(0, 300, 37), 299}
    alone = {}
    for i in checked:
        context = torch.nn.functional.conv2d(whole[i : i + 1], weight, network.context_prediction.bias)
        both = torch.cat((hyper[i : i + 1, :, None, None], context), dim=1)
        alone[i] = network.entropy_parameters(both)[0, :, 0, 0]
    for n in (1, 2, 7, 8, 15, 16, 17, 40, 64, 65, 130, 191, 192, 193, 300):
        together = parameters(windows[:n], hyper[:n])
        assert together.shape == (n, 2 * latent)
        for i in checked & set(range(n)):
            assert torch.equal(together[i], alone[i]), (n, i)


def test_many_windows_share_a_convolution_on_this_machine() -> None:
    """Not a promise of any machine, but where it fails the walk is slow, and one should know."""
    parameters = Parameters(network_of("mbt2018", 192))
    assert parameters.wide and max(parameters.together) > 1


# ---- the order of the walk


def test_the_window_holds_all_that_the_mask_lets_through() -> None:
    mask = network_of("mbt2018").context_prediction.mask[0, 0]
    assert {(y - 2, x - 2) for y, x in mask.nonzero().tolist()} < set(WINDOW)
    assert [(y - 2, x - 2) for y in range(3) for x in range(5)] == WINDOW


def test_the_waves_of_three_rows_of_four_by_hand() -> None:
    steps = [positions.tolist() for positions, _, _ in _waves(_fields([(3, 4)]))]
    assert steps == [[0], [1], [2], [3, 4], [5], [6], [7, 8], [9], [10], [11]]


@pytest.mark.parametrize("sizes", [[(3, 4)], [(1, 1)], [(5, 2), (1, 7), (3, 4), (4, 4)]])
def test_whatever_a_position_looks_at_is_from_an_earlier_step_or_nothing(
    sizes: list[tuple[int, int]],
) -> None:
    fields = _fields(sizes)
    every = [
        (f, y, x) for f, (height, width) in enumerate(sizes) for y in range(height) for x in range(width)
    ]
    place_of = {
        position: int(row)
        for position, row in zip(every, torch.cat([field.positions for field in fields]), strict=True)
    }
    assert len(set(place_of.values())) == len(every)  # no two share a row of the buffer
    rows = fields[-1].start + fields[-1].padded
    done: set[int] = set()
    for positions, places, neighbours in _waves(fields):
        for position, place, seen in zip(
            positions.tolist(), places.tolist(), neighbours.tolist(), strict=True
        ):
            picture, y, x = every[position]
            assert place == place_of[picture, y, x]
            for (dy, dx), row in zip(WINDOW, seen, strict=True):
                if dy == 0 and dx >= 0:
                    continue  # the mask hides it
                if (picture, y + dy, x + dx) in place_of:
                    assert row == place_of[picture, y + dy, x + dx] and row in done
                else:
                    assert 0 <= row < rows and row not in place_of.values()  # of the border, which stays zero
        assert not done & set(places.tolist())
        done |= set(places.tolist())
    assert done == set(place_of.values())


@pytest.mark.parametrize(("size", "steps"), [((16, 16), 61), ((32, 48), 141), ((4, 4), 13)])
def test_a_walk_takes_as_many_steps_as_there_are_diagonals(size: tuple[int, int], steps: int) -> None:
    assert len(_waves(_fields([size]))) == steps
    assert len(_waves(_fields([size, (3, 3), size]))) == steps
