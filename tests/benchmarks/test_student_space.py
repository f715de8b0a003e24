"""The compared architectures trade their sizes at nearly equal parameter counts."""

from __future__ import annotations

import math

from benchmarks.student_space import BANDS, PER_BAND, chosen, parameters, space


def sized():
    return [one.replace(vocabulary_size=1_500, maximum_length=96) for one in space()]


def test_each_band_holds_architectures_of_the_space_with_other_pairs_of_depth_and_width():
    everything = sized()
    for band in chosen(everything):
        assert len({(one.depth, one.hidden) for one in band}) == PER_BAND
        assert set(band) <= set(everything)


def test_counts_within_a_band_are_nearer_than_bands():
    bands = [[math.log(parameters(one)) for one in band] for band in chosen(sized())]
    assert len(bands) == len(BANDS)
    for lower, higher in zip(bands, bands[1:]):
        assert max(lower) < min(higher)
        assert max(lower) - min(lower) < min(higher) - max(lower)


def test_the_order_of_the_space_does_not_change_the_choice():
    everything = sized()
    assert chosen(everything[::-1]) == chosen(everything)
