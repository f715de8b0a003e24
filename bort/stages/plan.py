"""`Experiment`: the stages of an experiment and their results so far, as a file of the store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.stages.key import KEY, canonical_hash, canonical_json, source_hash
from bort.stages.stage import Stage, check_stage_name
from bort.stages.store import Store
from bort.storage.files import write_json
from bort.storage.json_fields import JsonFields, read_fields
from bort.storage.locks import wait_for_file

EXPERIMENT_FORMAT = "bort experiment 1"
_KEPT = 20  # results of a stage that an experiment remembers


@dataclass(frozen=True)
class PlannedStage:
    """A stage without its function.

    Attributes:
        name, kind, version, settings: as of `Stage`.
        inputs: names of the stages whose results it reads, by label.
        sources: SHA-256 of the user's files, by label.
        paths: where they were, by label.
    """

    name: str
    kind: str
    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    paths: Mapping[str, str]

    def description(self, digests: Mapping[str, str]) -> Dict[str, Any]:
        """Return everything that the result depends on; its canonical hash is the stage's key.

        Args:
            digests: digests of the inputs' results, by the names of the stages. An input that has
                no result yet is described by None, and there is no key yet.
        """
        return {
            "kind": self.kind,
            "version": self.version,
            "settings": dict(self.settings),
            "inputs": {label: digests.get(name) for label, name in self.inputs.items()},
            "sources": dict(self.sources),
        }

    def key(self, digests: Mapping[str, str]) -> Optional[str]:
        """Return the stage's key, or None if an input has no result yet; see `description`."""
        if not all(name in digests for name in self.inputs.values()):
            return None
        return canonical_hash(self.description(digests))


class Finished(NamedTuple):
    """A result that a stage of an experiment once had: its key and its description."""

    key: str
    of: Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """The stages of an experiment as they last ran, and their results so far.

    Attributes:
        name: name of the experiment.
        stages: all stages, each behind its inputs.
        finished: the results of each stage by its name, the last one at the end.
    """

    name: str
    stages: Tuple[PlannedStage, ...] = ()
    finished: Mapping[str, Tuple[Finished, ...]] = field(default_factory=dict)

    def stage(self, name: str) -> PlannedStage:
        """Return a stage.

        Raises:
            InputError: the experiment has none of this name.
        """
        for one in self.stages:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.stages)
        raise InputError(f"stage is {name!r}, experiment {self.name} has {names}")

    def with_ancestors(self, names: Sequence[str]) -> Tuple[PlannedStage, ...]:
        """Return some stages and all that their results depend on, in the order of the plan."""
        wanted = {self.stage(name).name for name in names}
        for one in reversed(self.stages):
            if one.name in wanted:
                wanted.update(one.inputs.values())
        return tuple(one for one in self.stages if one.name in wanted)

    def with_stages(
        self, stages: Sequence[PlannedStage], *, keeps_others: bool = False
    ) -> Experiment:
        """Return the experiment with other stages.

        Args:
            stages: the stages, each behind its inputs.
            keeps_others: keep the stages of other names as they are.
        """
        by_name = {one.name: one for one in (*(self.stages if keeps_others else ()), *stages)}
        ordered: Dict[str, PlannedStage] = {}

        def add(one: PlannedStage) -> None:
            for name in one.inputs.values():
                add(by_name[name])
            ordered.setdefault(one.name, one)

        for one in by_name.values():
            add(one)
        return replace(self, stages=tuple(ordered.values()))

    def with_finished(self, name: str, key: str, of: Mapping[str, Any]) -> Experiment:
        """Return the experiment after a stage has got a result."""
        earlier = [one for one in self.finished.get(name, ()) if one.key != key]
        kept = (*earlier, Finished(key, of))[-_KEPT:]
        return replace(self, finished={**self.finished, name: kept})

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON-ready fields of the file."""
        return {
            "format": EXPERIMENT_FORMAT,
            "stages": [dict(vars(one)) for one in self.stages],
            "finished": {
                name: [one._asdict() for one in results] for name, results in self.finished.items()
            },
        }


def plan_of(stages: Sequence[Stage]) -> Tuple[PlannedStage, ...]:
    """Return stages without their functions, with the SHA-256 of their sources.

    Raises:
        InputError: two stages have one name, a stage comes before its input, or a source cannot be
            read.
    """
    before: Dict[str, Stage] = {}
    hashes: Dict[Path, str] = {}
    planned = []
    for stage in stages:
        where = f"stage {stage.name}"
        if stage.name in before:
            raise InputError(f"{where}: two stages have this name")
        for label, one in stage.inputs.items():
            if before.get(one.name) is not one:
                raise InputError(
                    f"{where}: its input {label} is stage {one.name}, which must come before it"
                )
        for path in map(Path, stage.sources.values()):
            hashes[path] = hashes.get(path) or source_hash(path)
        planned.append(
            PlannedStage(
                stage.name,
                stage.kind,
                stage.version,
                stage.settings,
                {label: one.name for label, one in stage.inputs.items()},
                {label: hashes[Path(path)] for label, path in stage.sources.items()},
                {label: str(path) for label, path in stage.sources.items()},
            )
        )
        before[stage.name] = stage
    return tuple(planned)


def experiment_names(store: Store) -> List[str]:
    """Return the names of all experiments of a store, sorted."""
    return sorted(path.stem for path in store.experiments.glob("*.json"))


def read_experiment(store: Store, name: str) -> Experiment:
    """Return an experiment.

    Raises:
        InputError: there is none of this name, or its file is damaged.
    """
    path = _path(store, name)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file")
    if not path.is_file():
        names = ", ".join(experiment_names(store)) or "none"
        raise InputError(f"experiment is {name!r}, {store.folder} has {names}")
    fields = read_fields(path)
    if fields.text("format") != EXPERIMENT_FORMAT:
        raise InputError(
            f"{path}: format is {fields.text('format')!r}, allowed is {EXPERIMENT_FORMAT!r}"
        )
    stages: List[PlannedStage] = []
    for one in fields.objects("stages"):
        stage = _read_stage(one)
        if not set(stage.inputs.values()) <= {before.name for before in stages}:
            raise InputError(f"{path}: {one.within}: its inputs must come before it")
        stages.append(stage)
    finished = fields.fields("finished")
    results = {
        stage: tuple(
            Finished(_hash(result, "key"), result.fields("of").values)
            for result in finished.objects(stage)
        )
        for stage in finished.values
    }
    return Experiment(name, tuple(stages), results)


def read_experiments(store: Store, name: Optional[str] = None) -> List[Experiment]:
    """Return one experiment of a store, or all of them; see `read_experiment`."""
    names = experiment_names(store) if name is None else [name]
    return [read_experiment(store, one) for one in names]


def update_experiment(
    store: Store, name: str, change: Callable[[Experiment], Experiment]
) -> Experiment:
    """Change an experiment, or make it; nothing is written if nothing changes.

    Raises:
        InputError: its file is damaged.
        WorkError: the file cannot be written.
    """
    path = _path(store, name)

    def read() -> Experiment:
        return read_experiment(store, name) if path.exists() else Experiment(name)

    before = read()
    is_same = canonical_json(change(before).as_dict()) == canonical_json(before.as_dict())
    if is_same and path.exists():  # in Python, 1 == 1.0
        return before
    with wait_for_file(path.with_name(f"{name}.lock")):
        after = change(read())
        write_json(path, after.as_dict())
    return after


def _path(store: Store, name: str) -> Path:
    check_stage_name(name, "experiment")
    return store.experiments / f"{name}.json"


def _read_stage(fields: JsonFields) -> PlannedStage:
    def names(field: str) -> Dict[str, str]:
        inside = fields.fields(field)
        return {label: inside.text(label) for label in inside.values}

    sources = fields.fields("sources")
    return PlannedStage(
        fields.plain_name("name"),
        fields.text("kind"),
        fields.integer("version", 1),
        fields.fields("settings").values,
        names("inputs"),
        {label: _hash(sources, label) for label in sources.values},
        names("paths"),
    )


def _hash(fields: JsonFields, name: str) -> str:
    value = fields.text(name)
    if not KEY.fullmatch(value):
        raise InputError(
            f"{fields.source}: {fields.within}.{name} is {value!r}, allowed are 64 hexadecimal "
            "digits"
        )
    return value
