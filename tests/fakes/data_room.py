"""A small data set of two users and a labeller, with everything that derives from a prompt."""

from typing import NamedTuple

from heedful.core.records import (
    Completion,
    Demonstration,
    Example,
    Prompt,
    Ranking,
    Split,
    Turn,
    text_hash,
)


class Room(NamedTuple):
    """Records that belong together."""

    prompts: list[Prompt]
    demonstrations: list[Demonstration]
    completions: list[Completion]
    rankings: list[Ranking]


def make_room(users: tuple[str, ...] = ("user-ada", "user-bob"), per_user: int = 3) -> Room:
    """`per_user` prompts of each user, each with a demonstration and a ranking of two."""
    room = Room([], [], [], [])
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for number, user in enumerate(user for user in users for _ in range(per_user)):
        name = f"{user.removeprefix('user-')} {number}"
        text = f"Please write down what you know of the garden of {name}."
        prompt = Prompt(
            id=f"prompt-{number}",
            text_hash=text_hash(text),
            instruction=text,
            context=f"A context of {name}, a@b.example" if number % 2 else None,
            examples=(Example(prompt=f"asked by {name}", completion="told"),) * (number % 3),
            turns=(Turn(role="user", text=f"an earlier question of {name}"),) * (number % 2),
            source="labeller:plain",
            use_case="open_qa",
            user_id=user,
            organisation=f"organisation of {user}",
            split=splits[number % 3],
            consent=True,
            licence="MIT",
            tags=("a tag",),
        )
        room.prompts.append(prompt)
        room.demonstrations.append(
            Demonstration(
                id=f"demonstration-{number}",
                prompt_id=prompt.id,
                text=f"A demonstration about the roses of {name}.",
                labeller_id="Clara Labeller",
                made_by="person",
                instructions_version="v1",
                seconds_spent=3.5,
                licence="CC-BY-4.0",
            )
        )
        ids = []
        for place in range(2):
            ids.append(f"completion-{number}-{place}")
            room.completions.append(
                Completion(
                    id=ids[-1],
                    prompt_id=prompt.id,
                    text=f"Completion {place} about the roses of {name}.",
                    checkpoint_id="sft-1",
                )
            )
        room.rankings.append(
            Ranking(
                id=f"ranking-{number}",
                prompt_id=prompt.id,
                completion_ids=tuple(ids),
                ranks=(1, 2),
                labeller_id="Clara Labeller",
                made_by="simulated",
                batch_id="Clara's Monday",
            )
        )
    return room
