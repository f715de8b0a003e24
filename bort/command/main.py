"""The console command `bort`: its flags and subcommands."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import List, NoReturn, Optional

from bort.command.doctor import examine, screen
from bort.process.command import make_parser, run_command


def run_subcommand(arguments: Optional[List[str]] = None) -> NoReturn:
    """Run the subcommand that a command line names, and exit with its status."""
    parser = make_parser("Tools around a model. Training and search are in scripts/ of a checkout.")
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    summary = "show what is installed, and what this machine can do"
    doctor = commands.add_parser("doctor", help=summary, description=summary)
    doctor.add_argument("--json", action="store_true", help="print the facts as JSON")
    run_command(parser, _doctor, arguments)


def _doctor(parsed: argparse.Namespace) -> None:
    facts = examine()
    print(json.dumps(facts, indent=2) if parsed.json else screen(facts))
