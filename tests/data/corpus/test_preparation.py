"""The whole way from text to shards: nothing lost, nothing left to chance, nothing half-written."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from bort.errors import BortError, InputError, WorkError
from data.corpus import text_files
from data.corpus.packing import _EncodedSentences
from data.corpus.preparation import CorpusConfig, create_corpus
from data.corpus.shards import open_examples, open_vocabulary
from tests.data.corpus.corpora import VOCABULARY, corpus, documents, files_of, text_of
from tests.patience import HANG_SECONDS


def decoded(folder, split="train"):
    examples = open_examples(folder, split)
    return [VOCABULARY.decode(examples[i]) for i in range(len(examples))]


def test_decoding_the_shards_gives_the_text_back(tmp_path):
    expected = documents(40)
    manifest = corpus(tmp_path, max_seq_length=200)
    assert " ".join(decoded(tmp_path / "out")) == " ".join(map(" ".join, expected))
    counts = manifest["counts"]
    assert counts["documents"] == 40
    assert counts["sentences"] == sum(map(len, expected))
    examples = open_examples(tmp_path / "out")
    assert counts["sequences"] == len(examples)
    assert counts["tokens"] == examples.lengths.sum()
    assert counts["pieces"] == counts["kept_pieces"] == sum(examples.lengths - 2)
    unknown = sum(int((examples[i] == VOCABULARY.unk_id).sum()) for i in range(len(examples)))
    assert unknown == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest


@pytest.mark.parametrize("length", [16, 64])
def test_every_piece_of_the_text_is_kept(tmp_path, length):
    """With sentences that are too long for a sequence, several passes and short sequences."""
    options = {"dupe_factor": 3, "short_seq_prob": 0.5, "split": (0.6, 0.4), "num_outputs": 2}
    manifest = corpus(tmp_path, max_seq_length=length, **options)
    counts = manifest["counts"]
    assert (counts["split_sentences"] > 0) == (length == 16)
    assert counts["kept_pieces"] == counts["tokens"] - 2 * counts["sequences"]
    assert counts["kept_pieces"] == counts["pieces"] > 3 * 40 * 10


def test_pieces_that_are_thrown_away_are_noticed(tmp_path, monkeypatch):
    """The planted fault: the ends of sentences are cut off."""
    whole = _EncodedSentences.without_space
    monkeypatch.setattr(
        _EncodedSentences, "without_space", lambda self, sentence: whole(self, sentence)[:8]
    )
    counts = corpus(tmp_path, max_seq_length=200)["counts"]
    assert counts["kept_pieces"] < 0.99 * counts["pieces"]


SETTINGS = {"num_outputs": 3, "dupe_factor": 2, "short_seq_prob": 0.3, "split": (0.7, 0.3)}


@pytest.mark.integration
def test_the_number_of_workers_changes_nothing(tmp_path, monkeypatch):
    """Many small blocks, so that workers would overtake each other if they could."""
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 2048)
    text = text_of(documents(400) + documents(30))
    for workers in (1, 2, 3):
        corpus(tmp_path, text, name=f"out{workers}", num_workers=workers, **SETTINGS)
    one = files_of(tmp_path / "out1")
    assert len(one) > 12
    assert files_of(tmp_path / "out2") == one
    assert files_of(tmp_path / "out3") == one
    manifest = json.loads(one["manifest.json"])
    assert manifest["counts"]["duplicate_documents"] == 30


def test_a_rerun_is_bit_identical_and_the_seed_matters(tmp_path):
    for name, seed in (("first", 1), ("second", 1), ("third", 2)):
        corpus(tmp_path, name=name, random_seed=seed, **SETTINGS)
    first, second, third = (files_of(tmp_path / name) for name in ("first", "second", "third"))
    assert first == second
    assert first["train-00000.offsets.npy"] != third["train-00000.offsets.npy"]


def test_passes_hold_the_text_as_often(tmp_path):
    once = corpus(tmp_path, name="once")
    thrice = corpus(tmp_path, name="thrice", dupe_factor=3)
    assert thrice["counts"]["documents"] == once["counts"]["documents"]
    words = " ".join(decoded(tmp_path / "once")).split()
    assert sorted(" ".join(decoded(tmp_path / "thrice")).split()) == sorted(words * 3)


def test_splits_are_chosen_by_content(tmp_path):
    several = documents(200)
    shares = {"split": (0.6, 0.3, 0.1), "max_seq_length": 512}
    corpus(tmp_path, text_of(several), name="a", **shares)
    random.Random(1).shuffle(several)
    corpus(tmp_path, text_of(several), name="b", random_seed=9, num_outputs=2, **shares)
    sizes = {}
    for split in ("train", "validation", "test"):
        found = sorted(decoded(tmp_path / "a", split))
        assert found == sorted(decoded(tmp_path / "b", split))
        sizes[split] = len(found)
    assert sum(sizes.values()) == 200
    assert sizes["train"] > sizes["validation"] > sizes["test"] > 0


def shard_tokens(manifest, split="train"):
    return [shard["tokens"]["count"] for shard in manifest["splits"][split]["shards"]]


@pytest.mark.parametrize("shards", [2, 7, 30])
def test_shards_differ_by_at_most_the_longest_document_and_split_none(tmp_path, shards):
    generator = np.random.default_rng(3)
    several = [
        [f"{number} " + "word " * int(generator.integers(2, 30)) for _ in range(int(size))]
        for number, size in enumerate(generator.integers(1, 60, 120))
    ]
    manifest = corpus(tmp_path, text_of(several), num_outputs=shards, max_seq_length=64)
    alone = corpus(tmp_path, text_of(several), name="alone", num_outputs=1, max_seq_length=64)
    longest = max(
        sum(shard_tokens(corpus(tmp_path, text_of([one]), name=f"d{n}", max_seq_length=64)))
        for n, one in enumerate(sorted(several, key=len)[-3:])
    )
    sizes = shard_tokens(manifest)
    assert max(sizes) - min(sizes) <= longest
    assert manifest["counts"]["tokens"] == alone["counts"]["tokens"] == sum(sizes)
    examples = open_examples(tmp_path / "out")
    whole = " ".join(VOCABULARY.decode(examples[i]) for i in range(len(examples)))
    assert sorted(whole.split()) == sorted(" ".join(decoded(tmp_path / "alone")).split())


def test_few_documents_and_a_giant_one_fill_as_many_shards_as_they_can(tmp_path):
    manifest = corpus(tmp_path, text_of(documents(10)), num_outputs=256)
    assert sum(size > 0 for size in shard_tokens(manifest)) == 10
    giant = corpus(tmp_path, text_of([["word " * 9] * 3000]), name="giant", num_outputs=4)
    assert [size > 0 for size in shard_tokens(giant)] == [True, False, False, False]


def test_duplicates_are_dropped_and_counted(tmp_path):
    several = documents(20)
    text = text_of(several + several[3:8]).replace("\n\n", "\n  \n")
    manifest = corpus(tmp_path, text, max_seq_length=200)
    assert manifest["counts"]["duplicate_documents"] == 5
    assert manifest["counts"]["documents"] == 20
    assert " ".join(decoded(tmp_path / "out")) == " ".join(map(" ".join, several))


def test_long_sentences_and_wrong_bytes_are_counted(tmp_path, caplog):
    path = tmp_path / "mixed.txt"
    path.write_bytes(b"word " * 100 + b"\nshort \xff\xfe one\n")
    manifest = corpus(tmp_path, input_file=(str(path),))
    assert manifest["counts"]["split_sentences"] == 1
    assert manifest["counts"]["replaced_bytes"] == 2
    assert manifest["inputs"][0]["replaced_bytes"] == 2
    assert "mixed.txt: replaced 2 bytes that are not valid UTF-8" in caplog.text
    assert "".join(decoded(tmp_path / "out")).split().count("word") == 100


def test_shards_carry_their_vocabulary_and_do_not_need_the_input(tmp_path):
    corpus(tmp_path)
    (tmp_path / "text.txt").unlink()
    vocabulary = open_vocabulary(tmp_path / "out")
    examples = open_examples(tmp_path / "out", vocabulary=vocabulary)
    assert vocabulary.decode(examples[0]) == VOCABULARY.decode(examples[0])


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path):
    corpus(tmp_path)
    before = files_of(tmp_path / "out")
    with pytest.raises(InputError, match="is not empty"):
        corpus(tmp_path, "other text")
    assert files_of(tmp_path / "out") == before
    with pytest.raises(InputError, match="is empty"):
        corpus(tmp_path, "", overwrite=True)
    assert files_of(tmp_path / "out") == before
    corpus(tmp_path, "other text", overwrite=True)
    assert decoded(tmp_path / "out") == ["other text"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is not a corpus"):
        corpus(tmp_path, name="mine", overwrite=True)
    (tmp_path / "out" / "inside.txt").write_text("text")
    with pytest.raises(InputError, match="holds the input"):
        corpus(tmp_path, input_file=(str(tmp_path / "out/inside.txt"),), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out", "text.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_seq_length": 2}, "max_seq_length is 2, allowed is at least 8"),
        ({"split": (0.5, 0.4)}, "shares that add up to 1"),
        ({"split": (0.5, 0.2, 0.2, 0.1)}, "one to three shares"),
        ({"split": (0.999999, 0.000001)}, "none of the 40 documents is in validation"),
        ({"dupe_factor": 0}, "dupe_factor is 0"),
        ({"input_file": ()}, "input_file is empty"),
        ({"input_file": ("/no/such/file",)}, "/no/such/file: no such file"),
        ({"input_format": "html"}, "input_format is 'html'"),
    ],
)
def test_bad_settings_are_named_and_leave_nothing(tmp_path, settings, message):
    with pytest.raises(InputError) as caught:
        corpus(tmp_path, **settings)
    assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["text.txt"])


@pytest.mark.parametrize("content", [b"\n \n\t\n", b"", b"a\x00b", b"\x1f\x8b\x08\x00trunc"])
def test_bad_input_leaves_nothing(tmp_path, content):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("good text\n")
    bad.write_bytes(content)
    files = (str(bad),) if not content.strip() else (str(good), str(bad))
    with pytest.raises(InputError, match=r"bad\.txt"):
        corpus(tmp_path, input_file=files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "good.txt"]


def test_an_output_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file: is a file"):
        corpus(tmp_path, name="file")
    with pytest.raises(BortError, match="file/below"):
        corpus(tmp_path, name="file/below")


def test_a_worker_that_dies_is_an_error_and_not_a_wait(tmp_path):
    """The vocabulary ends the process that encodes with it, unless it is the main one."""
    script = textwrap.dedent(
        """
        import multiprocessing, os, sys
        from data.corpus.preparation import CorpusConfig, create_corpus
        from tests.data.corpus.corpora import VOCABULARY

        class Deadly(type(VOCABULARY)):
            def encode_flat(self, *arguments, **options):
                if multiprocessing.parent_process() is not None:
                    os._exit(9)
                return super().encode_flat(*arguments, **options)

        if __name__ == "__main__":
            deadly = VOCABULARY
            deadly.__class__ = Deadly
            config = CorpusConfig(
                input_file=(sys.argv[1],), output_dir=sys.argv[2], num_workers=2
            )
            create_corpus(config, deadly)
        """
    )
    (tmp_path / "text.txt").write_text(text_of(documents(5)))
    (tmp_path / "run.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "text.txt"), str(tmp_path / "o")],
        env={"PYTHONPATH": ".", "PATH": ""},
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert "WorkError: a worker process died" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.py", "text.txt"]


@pytest.fixture
def command(tmp_path, project_root):
    """Run the real command on files of `tmp_path`, with the tiny vocabulary."""
    VOCABULARY.save(tmp_path / "vocabulary")

    def run(*flags, limit_bytes=None):
        def limit():
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        return subprocess.run(
            [
                sys.executable,
                "scripts/create_pretraining_data.py",
                *("--vocab", str(tmp_path / "vocabulary"), "--num_workers", "1", *flags),
            ],
            cwd=project_root,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            env={"PYTHONPATH": str(project_root), "PATH": "", "BORT_OFFLINE": "1"},
            preexec_fn=limit if limit_bytes else None,
        )

    return run


@pytest.mark.integration
class TestCommand:
    """The command itself."""

    def test_counts_come_on_stdout_as_json(self, tmp_path, command):
        for name in "ab":
            (tmp_path / f"{name}.txt").write_text(text_of(documents(30, ord(name))))
        done = command(
            *("--input_file", f"{tmp_path}/a.txt,{tmp_path}/b.txt", "--dupe_factor", "2"),
            *("--output_dir", str(tmp_path / "out"), "--num_outputs", "2"),
            *("--max_seq_length", "64", "--split", "0.8", "0.2", "--random_seed", "5"),
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        train = open_examples(tmp_path / "out", "train")
        assert result["splits"]["train"]["sequences"] == len(train)
        assert result["counts"]["documents"] == 60
        assert "reading: " in done.stderr

    def test_a_full_disk_is_one_line_and_leaves_nothing(self, tmp_path, command):
        """Python ignores SIGXFSZ, so a limit on the size of files shows as a full disk does."""
        (tmp_path / "text.txt").write_text(text_of(documents(3000)))
        done = command(
            *("--input_file", str(tmp_path / "text.txt"), "--output_dir", str(tmp_path / "out")),
            limit_bytes=100_000,
        )
        assert done.returncode == 1
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        assert len(lines) == 1
        assert "out: cannot be written: File too large" in lines[0]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt", "vocabulary"]

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--input_file", "{}/none.txt"], "none.txt: no such file"),
            (["--input_file", "{}/*.gz"], "no file matches"),
            (["--input_file", "{}/vocabulary"], "is a folder"),
            (["--input_file", "{}/text.txt", "--max_seq_length", "1"], "max_seq_length is 1"),
            (["--input_file", "{}/text.txt", "--vocab", "{}/none"], "none"),
            (["--input_file", "{}/text.txt", "--vocab", "{}"], "holds no vocabulary"),
            (["--input_file", "{}/text.txt", "--split", "0.5"], "shares that add up to 1"),
            (["--input_file", "{}/text.txt", "--colour", "red"], "--colour"),
            ([], "--input_file"),
        ],
    )
    def test_bad_usage_is_one_line_and_status_2(self, tmp_path, command, flags, message):
        (tmp_path / "text.txt").write_text("some text\n")
        flags = [flag.replace("{}", str(tmp_path)) for flag in flags]
        done = command(*flags, "--output_dir", str(tmp_path / "out"))
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert message in done.stderr
        assert done.stdout == ""
        assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_the_real_vocabulary_and_wikitext(tmp_path, shared_data):
    config = CorpusConfig(
        input_file=(str(shared_data / "wikitext-2" / "valid.txt"),),
        output_dir=str(tmp_path / "out"),
        vocab=str(shared_data / "roberta_vocab"),
        max_seq_length=128,
        num_workers=2,
    )
    manifest = create_corpus(config)
    assert manifest["counts"]["documents"] == 60
    vocabulary = open_vocabulary(tmp_path / "out")
    examples = open_examples(tmp_path / "out")
    assert examples.lengths.max() <= 128
    assert np.mean(examples.lengths) > 90
    text = " ".join(vocabulary.decode(examples[i]) for i in range(len(examples)))
    source = (shared_data / "wikitext-2" / "valid.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in source.split("\n")]
    words = " ".join(line for line in lines if not line.startswith("= ")).split()
    assert text.split() == words


def test_a_failing_sync_or_vocabulary_is_work_that_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    threads = threading.active_count()
    monkeypatch.setattr("bort.storage.early_sync.SYNCED_BYTES", 100)
    for place in ("bort.storage.early_sync.os.fsync", "bort.text.byte_bpe.ByteBPE.save"):
        with monkeypatch.context() as broken:
            broken.setattr(place, full)
            with pytest.raises(WorkError, match="cannot be written: No space left on device"):
                corpus(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
    assert threading.active_count() == threads  # the next corpus may fork its workers


def test_an_unsaved_vocabulary_ends_the_work_at_once(tmp_path, monkeypatch):
    added = []

    def fail(*_):
        raise OSError(28, "No space left on device")

    def add(writer, block, packed):
        added.append(block)
        time.sleep(0.01)

    monkeypatch.setattr(text_files, "BLOCK_BYTES", 2048)
    monkeypatch.setattr("bort.text.byte_bpe.ByteBPE.save", fail)
    monkeypatch.setattr("data.corpus.preparation._CorpusWriter.add", add)
    with pytest.raises(WorkError, match="No space left on device"):
        corpus(tmp_path, text_of(documents(2000)))
    assert len(added) < (tmp_path / "text.txt").stat().st_size // 2048 // 2


def test_a_failing_write_is_work_that_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data.corpus.shard_files.ShardWriter.append", full)
    with pytest.raises(WorkError, match="out: cannot be written: No space left on device"):
        corpus(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
