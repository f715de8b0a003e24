"""Tests of GluonNLP's zoo: names are presets, and a failed download is an error."""

from __future__ import annotations

import pytest
from mxnet.gluon.model_zoo import model_store

from bort.architecture import PRESETS
from bort.errors import InputError
from bort.gluon.teacher.live import load_teacher
from bort.gluon.teacher.zoo import ZOO, zoo_file


def test_every_name_is_an_architecture():
    assert set(ZOO) <= set(PRESETS)


def test_the_file_is_that_of_model_and_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(model_store, "get_model_file", lambda name, root: f"{root}/{name}.params")
    path = zoo_file("bert_12_768_12_cased", tmp_path)
    assert path == f"{tmp_path}/bert_12_768_12_book_corpus_wiki_en_cased.params"


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="neither a folder nor one of bert_12_768_12"):
        load_teacher("bort_4_8_768_1024")


def test_a_failed_download_is_one_line(tmp_path, monkeypatch, capsys):
    def no_network(*_, **__):
        print("Downloading")
        raise ConnectionError("a long story\nover several lines")

    monkeypatch.setattr(model_store, "get_model_file", no_network)
    with pytest.raises(InputError) as caught:
        load_teacher("roberta_24_1024_16", root=tmp_path)
    assert "roberta_24_1024_16" in str(caught.value)
    assert "cannot be downloaded" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == "", "stdout is for results"
