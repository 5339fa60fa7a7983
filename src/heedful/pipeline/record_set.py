"""All records of a data room together, in a folder as `heedful.data.own_records` reads one."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from heedful.core.jsonl import read_records, write_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Split
from heedful.data.lineage import Dropped

RECORD_FILES = ("prompts.jsonl", "demonstrations.jsonl", "completions.jsonl", "rankings.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    """Prompts, and what people and models made of them."""

    prompts: list[Prompt]
    demonstrations: list[Demonstration] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, prompts: Path | None = None) -> "RecordSet":
        """The records of a folder, with the prompts of another file where one is given."""
        files = [folder / name for name in RECORD_FILES]
        return cls(
            prompts=read_records(prompts or files[0], Prompt),
            demonstrations=read_records(files[1], Demonstration),
            completions=read_records(files[2], Completion),
            rankings=read_records(files[3], Ranking),
        )

    def write(self, folder: Path) -> None:
        """Write one file a kind, empty ones too."""
        files = [folder / name for name in RECORD_FILES]
        write_records(files[0], self.prompts)
        write_records(files[1], self.demonstrations)
        write_records(files[2], self.completions)
        write_records(files[3], self.rankings)

    def numbers(self) -> dict[str, int]:
        """How many records there are, by kind."""
        return {
            "prompts": len(self.prompts),
            "demonstrations": len(self.demonstrations),
            "completions": len(self.completions),
            "rankings": len(self.rankings),
        }

    def of_split(self, split: Split) -> "RecordSet":
        """The prompts of a split, and what belongs to them."""
        prompts = [prompt for prompt in self.prompts if prompt.split == split]
        return replace(self, prompts=prompts).without_orphans(split)[0]

    def without_orphans(self, stage: str) -> tuple["RecordSet", list[Dropped]]:
        """What belongs to the prompts, rankings with their split; and what belongs to none."""
        by_id = {prompt.id: prompt for prompt in self.prompts}
        kept = RecordSet(
            prompts=self.prompts,
            demonstrations=[item for item in self.demonstrations if item.prompt_id in by_id],
            completions=[item for item in self.completions if item.prompt_id in by_id],
            rankings=[
                item.model_copy(update={"split": by_id[item.prompt_id].split})
                for item in self.rankings
                if item.prompt_id in by_id
            ],
        )
        answers: list[Demonstration | Completion | Ranking] = [
            *self.demonstrations,
            *self.completions,
            *self.rankings,
        ]
        orphans = [
            Dropped(
                id=item.id, stage=stage, reason="its prompt was dropped", because_of=item.prompt_id
            )
            for item in answers
            if item.prompt_id not in by_id
        ]
        return kept, orphans
