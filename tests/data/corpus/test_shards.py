"""Shards: opened by one number each, refused when damaged, and the original release's undone."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bort.errors import InputError
from bort.storage.files import sha256_of_file
from data.corpus.shard_files import ShardWriter, open_array
from data.corpus.shards import SHARDS_FORMAT, open_examples, open_vocabulary
from tests.data.corpus.corpora import VOCABULARY, corpus


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_plain_numpy_reads_what_was_appended(tmp_path, thread):
    writer = ShardWriter(SHARDS_FORMAT.writer(tmp_path), "train", 3, np.dtype("<u2"), thread)
    for rows in ([[1, 2], [3]], [], [[4, 5, 6]]):
        flat = np.array([i for row in rows for i in row], dtype="<u2")
        writer.append(flat.tobytes(), np.array([len(row) for row in rows], dtype=np.int64))
    record = writer.close()
    tokens = np.load(tmp_path / "train-00003.tokens.npy", allow_pickle=False)
    assert tokens.tolist() == [1, 2, 3, 4, 5, 6]
    assert tokens.dtype == np.uint16
    offsets = np.load(tmp_path / "train-00003.offsets.npy", allow_pickle=False)
    assert offsets.tolist() == [0, 2, 3, 6]
    mapped = open_array(tmp_path / "train-00003.tokens.npy", record["tokens"])
    assert isinstance(mapped, np.memmap)


@pytest.mark.parametrize("same_length", [False, True])
def test_rows_of_equal_length_are_like_any_others(tmp_path, same_length):
    lines = ["7#7 8#8", "9%9 6%6"] if same_length else ["aaa", "bbb ccc ddd"]
    corpus(tmp_path, "\n\n".join(lines))
    examples = open_examples(tmp_path / "out")
    assert [VOCABULARY.decode(examples[i]) for i in range(2)] == lines
    assert examples.shards[0].tokens.dtype == np.uint16
    assert (len(set(examples.lengths.tolist())) == 1) is same_length


def test_examples_are_numbered_over_shards_and_folders(tmp_path):
    corpus(tmp_path, num_outputs=3)
    examples = open_examples(tmp_path / "out")
    assert len(examples.shards) == 3
    rows = [examples[i] for i in range(len(examples))]
    assert [len(row) for row in rows] == examples.lengths.tolist()
    flat = np.concatenate([np.asarray(shard.tokens) for shard in examples.shards])
    assert np.concatenate(rows).tolist() == flat.tolist()
    assert not rows[0].flags.writeable
    shutil.copytree(tmp_path / "out", tmp_path / "out2")
    for paths in (f"{tmp_path}/out*", [tmp_path / "out", tmp_path / "out2"]):
        twice = open_examples(paths)
        assert len(twice) == 2 * len(examples)
        assert twice[len(examples)].tolist() == rows[0].tolist()
        assert twice.fingerprint != examples.fingerprint
    assert open_vocabulary(tmp_path / "out").fingerprint == examples.vocabulary_fingerprint
    for wrong in (-1, len(examples)):
        with pytest.raises(IndexError):
            examples[wrong]


@pytest.mark.parametrize("part", ["tokens", "offsets"])
@pytest.mark.parametrize("damage", ["flip", "cut", "header", "gone", "pickle"])
def test_a_damaged_shard_is_named(tmp_path, part, damage):
    corpus(tmp_path)
    path = tmp_path / "out" / f"train-00000.{part}.npy"
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-3] ^= 4
    elif damage == "cut":
        del content[-2:]
    elif damage == "header":
        content[40:44] = b"????"
    path.write_bytes(content)
    if damage == "gone":
        path.unlink()
    elif damage == "pickle":
        np.save(path, np.array([[1], [2, 3]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=path.name):
        open_examples(tmp_path / "out")


def test_ids_beyond_the_vocabulary_are_refused_even_without_checksums(tmp_path):
    corpus(tmp_path)
    path = tmp_path / "out" / "train-00000.tokens.npy"
    content = bytearray(path.read_bytes())
    content[-3:-1] = b"\xff\xff"[:1] + b"\xff"
    path.write_bytes(content)
    examples = open_examples(tmp_path / "out", verify=False)
    with pytest.raises(InputError, match=r"train-00000.tokens.npy: is damaged.*beyond the vocab"):
        examples[len(examples) - 1]


def test_a_damaged_or_foreign_folder_is_named(tmp_path):
    corpus(tmp_path)
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_text())
    with pytest.raises(InputError, match="no split 'test', it has train"):
        open_examples(tmp_path / "out", split="test")
    other = type("Other", (), {"fingerprint": "f" * 64, "__len__": lambda self: 9})()
    with pytest.raises(InputError, match="made with another vocabulary"):
        open_examples(tmp_path / "out", vocabulary=other)
    content["splits"]["train"]["shards"][0]["tokens"]["file"] = "../../etc/passwd"
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError, match="leads out of the folder"):
        open_examples(tmp_path / "out")
    for text in ("{}", "[1]", '{"format": "bort-shards-1"}', "{"):
        manifest.write_text(text)
        with pytest.raises(InputError, match=r"manifest\.json"):
            open_examples(tmp_path / "out")
    manifest.unlink()
    with pytest.raises(InputError, match="not a finished corpus"):
        open_examples(tmp_path / "out")
    with pytest.raises(InputError, match="no such folder or file"):
        open_examples(tmp_path / "nothing*")


class TestOriginalShards:
    """`.npz` shards: masked when they were made, rows padded or pickled."""

    @staticmethod
    def arrays():
        """Two sequences, masked at two places and one, padded with `<s>` as the release did."""
        return {
            "input_ids": np.array([[0, 9, 99, 11, 2, 0], [0, 99, 2, 0, 0, 0]], dtype=np.int32),
            "masked_lm_ids": np.array([[10, 12], [13, 0]], dtype=np.int32),
            "masked_lm_positions": np.array([[2, 3], [1, 0]], dtype=np.int32),
            "masked_lm_weights": np.array([[1, 1], [1, 0]], dtype=np.float32),
            "valid_lengths": np.array([5, 3], dtype=np.int32),
            "segment_ids": np.zeros((2, 6), dtype=np.int32),
        }

    def write(self, folder, **changes):
        arrays = {**self.arrays(), **changes}
        np.savez_compressed(
            folder / "part-000.npz", **{k: v for k, v in arrays.items() if v is not None}
        )
        return folder / "part-000.npz"

    def test_labels_are_put_back_and_padding_goes(self, tmp_path):
        path = self.write(tmp_path)
        for paths in (path, tmp_path, f"{tmp_path}/*.npz"):
            examples = open_examples(paths, vocabulary=VOCABULARY)
            assert [row.tolist() for row in map(examples.__getitem__, range(2))] == [
                [0, 9, 10, 12, 2],
                [0, 13, 2],
            ]
            assert examples.vocabulary_fingerprint == VOCABULARY.fingerprint

    def test_pickles_are_never_read(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (exec, ("raise SystemExit('unpickled')",))

        rows = np.array([[0, 2], [0, Bomb(), 2]], dtype=object)
        path = self.write(tmp_path, input_ids=rows)
        with pytest.raises(InputError, match="pickled Python objects.*create it again"):
            open_examples(path, vocabulary=VOCABULARY)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"masked_lm_ids": None}, "has no array 'masked_lm_ids'"),
            ({"valid_lengths": np.array([5, 7])}, "valid length is outside"),
            ({"valid_lengths": np.array([5])}, "do not fit together"),
            ({"masked_lm_positions": np.array([[2, 3], [4, 0]])}, "outside its sequence"),
            ({"masked_lm_positions": np.array([[-2, 3], [1, 0]])}, "outside its sequence"),
            ({"masked_lm_ids": np.array([[10, 9999], [13, 0]])}, "ids beyond the vocabulary"),
            ({"input_ids": np.zeros((2, 6))}, "'input_ids' holds float64"),
            (
                {"input_ids": np.full((2, 6), 3), "masked_lm_ids": np.full((2, 2), 3)},
                "8 of 8 tokens are <unk>.*converted to ids twice.*create it again",
            ),
        ],
    )
    def test_wrong_content_is_named(self, tmp_path, changes, message):
        with pytest.raises(InputError, match="part-000.npz: .*" + message):
            open_examples(self.write(tmp_path, **changes), vocabulary=VOCABULARY)

    def test_damage_and_a_missing_vocabulary_are_named(self, tmp_path):
        path = self.write(tmp_path)
        with pytest.raises(InputError, match="does not record its vocabulary"):
            open_examples(path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(InputError, match=r"part-000\.npz: is damaged"):
            open_examples(path, vocabulary=VOCABULARY)


def edit(folder, change):
    """Change the manifest of a corpus in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest, manifest["splits"]["train"]["shards"][0])
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, s: m.update(splits=[]), r"a corpus: splits is \[\], allowed is an object"),
        (lambda m, s: m["splits"].update(train=3), "splits.train is 3, allowed is an object"),
        (lambda m, s: m["splits"]["train"].update(shards={}), "shards is {}, allowed is a list"),
        (lambda m, s: s.update(tokens=None), "is None, allowed is an object"),
        (lambda m, s: s["tokens"].update(count="3"), "count is '3', allowed is an integer"),
        (lambda m, s: s["tokens"].update(count=False), "count is False, allowed is an integer"),
        (lambda m, s: s["tokens"].update(count=2**62), "it has .* bytes"),
        (lambda m, s: s["tokens"].update(dtype="<f8"), "dtype is '<f8', allowed are <u2, <i4, <i8"),
        (lambda m, s: s["tokens"].update(dtype="(9,)<u2"), "dtype is"),
        (lambda m, s: s["tokens"].update(file=["a"]), r"file is \['a'\], allowed is a text"),
        (lambda m, s: s["tokens"].update(file="a\0b"), "leads out of the folder"),
        (lambda m, s: m.update(vocabulary=[]), r"vocabulary is \[\], allowed is an object"),
        (lambda m, s: m["vocabulary"].update(size=2**40), "vocabulary.size is 1099511627776"),
        (lambda m, s: m["vocabulary"].update(size=True), "vocabulary.size is True"),
        (lambda m, s: m["vocabulary"].update(fingerprint=1), "vocabulary.fingerprint is 1"),
        (lambda m, s: m.update(format=True), "is not the manifest of a corpus: format is True"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, change, message):
    corpus(tmp_path)
    edit(tmp_path / "out", change)
    with pytest.raises(InputError, match=f"^{tmp_path}/out/.*{message}"):
        open_examples(tmp_path / "out")


@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("value", [-1, 2**63 - 1, 0, 7])
def test_forged_offsets_are_refused(tmp_path, place, value):
    corpus(tmp_path)
    path = tmp_path / "out" / "train-00000.offsets.npy"
    offsets = np.load(path)
    if value in (offsets[place], 7) and place == 1:
        value = int(offsets[2])
    if value == offsets[place]:
        value = 1
    offsets[place] = value
    np.save(path, offsets)
    digest = sha256_of_file(path)
    edit(tmp_path / "out", lambda m, s: s["offsets"].update(sha256=digest))
    with pytest.raises(InputError, match="is damaged, its offsets contradict its tokens"):
        open_examples(tmp_path / "out")


def test_a_bomb_in_a_shard_of_the_original_release_is_refused(tmp_path):
    zeros = np.zeros((20_000, 512), dtype="<i8")
    few = np.zeros((20_000, 1), dtype="<i8")
    np.savez_compressed(
        tmp_path / "a.npz",
        input_ids=zeros,
        masked_lm_ids=few,
        masked_lm_positions=few,
        valid_lengths=np.ones(20_000, dtype="<i8"),
    )
    with pytest.raises(InputError, match=r"a\.npz: its arrays unpack to 8\d+ bytes, allowed are"):
        open_examples(tmp_path / "a.npz", vocabulary=VOCABULARY)
