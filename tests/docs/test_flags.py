"""Every flag that the documentation names is a flag of the command that it is named with."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from tests.docs.flags import FLAG, all_flags, unknown_flags
from tests.docs.pages import OTHER_PAGES, PAGES, Command, commands_of, inline_code, read_page

CHECKED_PAGES = (*PAGES, *OTHER_PAGES)


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_every_flag_of_a_command_is_one_of_its_script(page: str) -> None:
    commands = [
        command
        for block in read_page(page)[0]
        if block.language == "bash"
        for command in commands_of(block)
    ]
    commands += [Command(where, tuple(code.split())) for where, code in inline_code(page)]
    assert [flag for command in commands for flag in unknown_flags(command)] == []


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_every_flag_that_is_named_alone_is_one_of_some_command(page: str) -> None:
    named = {flag: where for where, code in inline_code(page) for flag in FLAG.findall(code)}
    assert {flag: named[flag] for flag in set(named) - all_flags()} == {}


@pytest.mark.parametrize(
    ("line", "script", "flag"),
    [
        ("python scripts/finetune.py --task_name RTE --epoch 3", "scripts/finetune.py", "--epoch"),
        (
            "python -m bort.launch --ranks 2 scripts/finetune.py --rank 2 --epochs 3",
            "scripts/finetune.py",
            "--rank",
        ),
        ("python -m bort.launch --rank 2 scripts/finetune.py", "bort.launch", "--rank"),
        ("./run_finetune.sh RTE --agora --epochs 3 --lr 1e-3", "run_finetune.sh", "--lr"),
        ("./run_finetune.sh RTE --ranks 2 --lr 1e-3 --taus a", "run_finetune.sh", "--taus"),
        ("bort finetune --task_name RTE --epoch 3", "scripts/finetune.py", "--epoch"),
        ("bort launch --ranks 2 finetune --epochs 3 --rank 2", "scripts/finetune.py", "--rank"),
        ("bort launch --rank 2 finetune --epochs 3", "bort.launch", "--rank"),
        ("python -m benchmarks.weak_scaling --rounds 2 --n 1", "benchmarks/weak_scaling.py", "--n"),
    ],
)
def test_an_unknown_flag_is_found(line: str, script: str, flag: str) -> None:
    assert unknown_flags(Command("page:1", tuple(line.split()))) == [
        f"page:1: {script} has no {flag}"
    ]


def test_an_unknown_subcommand_is_found() -> None:
    with pytest.raises(InputError, match="'fine-tune' is no subcommand of bort"):
        unknown_flags(Command("page:1", ("bort", "fine-tune")))
