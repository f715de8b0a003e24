"""The set of digests, against Python's own set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data.corpus.duplicates import SeenDigests

# Few values, zeros at the ends among them, so that batches meet again and again.
DIGESTS = st.sampled_from([bytes([a]) * 8 + bytes([b]) * 8 for a in range(6) for b in range(6)])


@given(st.lists(st.lists(DIGESTS, max_size=12), max_size=12))
def test_it_is_a_set(batches):
    seen, expected = SeenDigests(), set()
    for batch in batches:
        answer = []
        for digest in batch:
            answer.append(digest not in expected)
            expected.add(digest)
        assert seen.add(b"".join(batch)).tolist() == answer
        assert len(seen) == len(expected)
        sizes = [len(run) for run in seen._runs]
        assert all(left > right for left, right in zip(sizes, sizes[1:]))
