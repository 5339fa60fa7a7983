import torch
from transformers import Gemma3TextConfig, LlamaConfig
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.gpt_neox.modeling_gpt_neox import apply_rotary_pos_emb
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from heedful.generation.decoder_rotary import RotaryTables, turn

CONTEXT = 40
LIKE = torch.empty(0)


def llama() -> LlamaRotaryEmbedding:
    shape = {"hidden_size": 32, "num_attention_heads": 4, "max_position_embeddings": CONTEXT}
    return LlamaRotaryEmbedding(LlamaConfig(**shape))


def test_states_are_turned_as_transformers_turns_them() -> None:
    torch.manual_seed(0)
    module = llama()
    tables = RotaryTables(module, [None], CONTEXT)
    tables.reserve(64, LIKE)
    positions = torch.tensor([0, 17, 39, 3])
    cosines, sines = module(LIKE, positions[None])
    for head_dim in (8, 12):  # the second is turned in part
        states = torch.randn(4, 3, head_dim)
        expected, _ = apply_rotary_pos_emb(states, states, cosines[0], sines[0])
        torch.testing.assert_close(turn(states, tables.look_up(positions)[None]), expected)


def test_tables_grow_and_otherwise_stay_where_they_are() -> None:
    tables = RotaryTables(llama(), [None], CONTEXT)
    tables.reserve(16, LIKE)
    where = tables._tables[None][0].data_ptr()
    tables.reserve(10, LIKE)
    assert tables._tables[None][0].data_ptr() == where
    tables.reserve(64, LIKE)
    assert len(tables._tables[None][0]) == CONTEXT
    tables.reserve(64, LIKE.bfloat16())
    assert tables._tables[None][0].dtype == torch.bfloat16


def test_a_position_past_the_last_is_the_last() -> None:
    tables = RotaryTables(llama(), [None], CONTEXT)
    tables.reserve(64, LIKE)
    for part in tables.look_up(torch.tensor([CONTEXT - 1, CONTEXT + 5]))[None]:
        assert torch.equal(part[0], part[1])


def test_every_kind_of_layer_has_its_own() -> None:
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(
        hidden_size=32, num_attention_heads=4, head_dim=8, num_hidden_layers=2, layer_types=kinds
    )
    tables = RotaryTables(Gemma3RotaryEmbedding(config), kinds, CONTEXT)
    tables.reserve(16, LIKE)
    found = tables.look_up(torch.tensor([9]))
    assert list(found) == kinds
    assert not torch.equal(found[kinds[0]][0], found[kinds[1]][0])


def test_a_model_without_rotary_positions_has_no_tables() -> None:
    tables = RotaryTables(None, [None], CONTEXT)
    tables.reserve(16, LIKE)
    assert tables.look_up(torch.tensor([1])) == {}
