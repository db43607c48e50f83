"""Range coding: CompressAI's bytes from fewer tables, and streams that lead nowhere lead to no crash."""

from __future__ import annotations

import faulthandler
import multiprocessing
from collections.abc import Callable

import numpy as np
import pytest
import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.models.google import get_scale_table
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpq.networks.coders import Bottleneck, Scales
from mpq.networks.entropy import Decoder, Tables

CHANNELS = 7


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def conditional() -> GaussianConditional:
    model = GaussianConditional(None)
    model.update_scale_table(get_scale_table())
    return model


@pytest.fixture(scope="module")
def bottleneck() -> EntropyBottleneck:
    """Channels of different widths and medians."""
    torch.manual_seed(0)
    model = EntropyBottleneck(CHANNELS)
    with torch.no_grad():
        medians = torch.linspace(-3.3, 4.4, CHANNELS)
        widths = torch.arange(1.0, CHANNELS + 1) * 2
        model.quantiles.copy_(torch.stack([medians - widths, medians, medians + widths], 1)[:, None])
    model.update()
    return model.requires_grad_(False)


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def survives(work: Callable[[], None], seconds: float = 20) -> bool:
    """Whether ``work`` comes to an end, in a process of its own: this one would not outlive a bad read."""

    def quietly() -> None:
        faulthandler.disable()  # a crash is an answer here, not news
        work()

    process = multiprocessing.get_context("fork").Process(target=quietly)
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode == 0


# ---- CompressAI's bytes


@pytest.mark.parametrize("spread", [1.0, 8.0, 3_000.0])  # the last one's symbols are mostly in no table
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (16, 16)])
def test_the_factorised_priors_stream_is_compressais(
    bottleneck: EntropyBottleneck, spread: float, height: int, width: int
) -> None:
    z = spread * normal(1, CHANNELS, height, width)
    stream, symbols, z_hat = Bottleneck(bottleneck).compress(z)
    assert [stream] == bottleneck.compress(z)
    assert torch.equal(z_hat, bottleneck.decompress([stream], (height, width)))
    again, decoded = Bottleneck(bottleneck).decompress(stream, height, width)
    assert np.array_equal(again, symbols) and again.dtype == symbols.dtype == np.int32
    assert torch.equal(decoded, z_hat)


@pytest.mark.parametrize("spread", [0.5, 20.0, 50_000.0])
def test_the_conditional_models_stream_is_compressais(
    conditional: GaussianConditional, spread: float
) -> None:
    y, means = spread * normal(1, 6, 9, 11), normal(1, 6, 9, 11, seed=1)
    scales = torch.exp(3 * normal(1, 6, 9, 11, seed=2))
    indexes = conditional.build_indexes(scales)
    assert len(indexes.unique()) > 40
    symbols = torch.round(y - means).int().numpy()
    tables = Tables(conditional)
    stream = tables.encode(symbols, indexes.numpy())
    assert [stream] == conditional.compress(y, indexes, means)
    assert np.array_equal(tables.decode(stream, indexes.numpy()), symbols)


@settings(max_examples=60, deadline=None)
@given(
    # At least four, as every picture has: CompressAI's encoder writes beyond its buffer for fewer.
    st.lists(
        st.tuples(st.integers(0, 63), st.one_of(st.integers(-9, 9), st.integers(-(2**26) + 1, 2**26 - 1))),
        min_size=4,
    )
)
def test_any_symbols_come_back_and_cost_what_compressai_says(
    conditional: GaussianConditional, coded: list[tuple[int, int]]
) -> None:
    indexes, symbols = np.array(coded, np.int32).T
    tables = Tables(conditional)
    stream = tables.encode(symbols, indexes)
    (expected,) = conditional.compress(
        torch.from_numpy(symbols.astype(np.float64))[None], torch.from_numpy(indexes.copy())[None]
    )
    assert stream == expected
    assert tables.decode(stream, indexes).tolist() == symbols.tolist()


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=8), seed=st.integers(0, 99))
def test_symbols_taken_piece_by_piece_are_those_taken_at_once(
    conditional: GaussianConditional, cuts: list[int], seed: int
) -> None:
    tables, random = Tables(conditional), np.random.default_rng(seed)
    indexes = random.integers(0, 64, 300, dtype=np.int32)
    symbols = np.rint(random.normal(0, 1 + indexes**1.4)).astype(np.int32)
    stream = tables.encode(symbols, indexes)
    decoder = Decoder(tables, stream, 300)
    pieces = [decoder.take(piece) for piece in np.split(indexes, sorted(cuts))]
    assert np.array_equal(np.concatenate(pieces), symbols)
    assert np.array_equal(tables.decode(stream, indexes), symbols)


# ---- streams that lead nowhere


def test_damaged_streams_decode_to_something_and_do_not_crash(conditional: GaussianConditional) -> None:
    def work() -> None:
        tables, random = Tables(conditional), np.random.default_rng(0)
        for trial in range(300):
            indexes = random.integers(0, 64, (4, 3, 1 + trial % 9), dtype=np.int32)
            whole = tables.encode(np.rint(random.normal(0, 9, indexes.shape)).astype(np.int32), indexes)
            cut = whole[: random.integers(len(whole))]
            for stream in (
                cut,
                cut + random.bytes(20),
                random.bytes(random.integers(40)),
                b"",
                b"\xff" * 999,
            ):
                assert tables.decode(stream, indexes).shape == indexes.shape

    assert survives(work)


def test_a_stream_of_ones_announces_much_and_is_not_read_beyond(conditional: GaussianConditional) -> None:
    def work() -> None:
        for length in (1_000_000, 3_000_000, 10_000_000):
            # Sixteen ones begin a number that no table holds, whose length the following ones draw out.
            stream = b"\xff" * 6 + b"\0\0" + b"\xff" * length
            assert Tables(conditional).decode(stream, np.zeros(3, np.int32)).shape == (3,)

    assert survives(work)


def test_a_number_too_large_to_write_is_refused_or_written_but_never_waited_for(
    conditional: GaussianConditional,
) -> None:
    def work() -> None:
        tables, index = Tables(conditional), np.zeros(1, np.int32)
        for symbol in (2**28, -(2**28), 2**31 - 1, -(2**31)):
            try:
                stream = tables.encode(np.array([symbol], np.int32), index)
            except Exception:
                continue
            assert tables.decode(stream, index).tolist() == [symbol]

    assert survives(work, seconds=3)


# ---- which row a scale belongs to


def build_indexes(conditional: GaussianConditional, scales: Tensor) -> Tensor:
    with torch.no_grad():
        return conditional.build_indexes(scales)


def test_a_scales_row_is_compressais_on_and_beside_every_entry(conditional: GaussianConditional) -> None:
    table = conditional.scale_table
    up, down = torch.full_like(table, torch.inf), torch.full_like(table, -torch.inf)
    special = torch.tensor(
        [-1e9, -1.0, -0.0, 0.0, 1e-30, 0.10999, 0.11, 0.11001, 256.0, 1e9, torch.inf, -torch.inf]
    )
    scales = torch.cat([table, table.nextafter(up), table.nextafter(down), special])
    found = Scales(conditional).indexes(scales)
    assert torch.equal(found, build_indexes(conditional, scales))
    assert found.dtype == torch.int32 and found.min() == 0 and found.max() == 63


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50))
def test_any_scales_row_is_compressais(conditional: GaussianConditional, scales: list[float]) -> None:
    values = torch.tensor(scales, dtype=torch.float32).view(1, 1, 1, -1)
    assert torch.equal(Scales(conditional).indexes(values), build_indexes(conditional, values))


def test_a_bound_above_the_first_entries_makes_them_one_row() -> None:
    model = GaussianConditional(None, scale_bound=0.5)
    model.update_scale_table(get_scale_table())
    scales = torch.linspace(-1, 2, 301)
    found = Scales(model).indexes(scales)
    assert torch.equal(found, build_indexes(model, scales))
    assert len(found[scales < 0.5].unique()) == 1 and int(found[0]) > 5


def test_scales_cut_out_of_a_larger_tensor_are_no_different(conditional: GaussianConditional) -> None:
    both = torch.exp(2 * normal(1, 10, 6, 8))
    scales, _ = both.chunk(2, 1)
    turned = both.transpose(1, 3)
    for values in (scales, turned):
        assert torch.equal(Scales(conditional).indexes(values), build_indexes(conditional, values))


def test_a_scale_that_is_no_number_has_a_row_all_the_same(conditional: GaussianConditional) -> None:
    row = Scales(conditional).indexes(torch.tensor([torch.nan]))
    assert 0 <= int(row) <= 63
