import pytest

from heedful.data.pii import Masker, Span
from heedful.data.pii_names import NerDetector, name_detector


def finds(text: str) -> set[str]:
    return {text[span.start : span.end] for span in name_detector().find(text)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Adaeze Okonkwo and I need help.", "Adaeze Okonkwo"),
        ("my name's jasmine and im 14", "jasmine"),
        ("Mijn naam is Joost van der Velde.", "Joost van der Velde"),
        ("Best regards,\nSiobhan Gallagher", "Siobhan Gallagher"),
        ("Hi Mateus,\ncan we meet?", "Mateus"),
        ("My boss, Rajesh Venkataraman, wants it.", "Rajesh Venkataraman"),
        ("Please refer me to Dr. Ilse Vanderhoek.", "Ilse Vanderhoek"),
        ("I'm Nguyen Thi Hoa, a nurse.", "Nguyen Thi Hoa"),
        ("Меня зовут Анастасия Белозёрова.", "Анастасия Белозёрова"),
        ("我叫王晓梅,今年二十岁。", "王晓梅"),
        ("私の名前は佐藤美咲です。", "佐藤美咲"),
        ("제 이름은 김서연입니다.", "김서연"),
        ("اسمي فاطمة الزهراني وأعمل مهندسة.", "فاطمة الزهراني"),
        ("मेरा नाम अनन्या शर्मा है।", "अनन्या शर्मा"),
    ],
)
def test_a_cue_introduces_a_name(text, name):
    assert finds(text) == {name}


@pytest.mark.parametrize(
    "text",
    [
        "Who was Marie Curie?",
        "Mr. Darcy proposes twice in Pride and Prejudice; why?",
        "My name is not important here.",
        "I'm Happy To Help With This.",
        "Dear Sir or Madam,",
        "Hi ChatGPT, write a haiku.",
        "Best regards,\nThe Support Team",
        "My friend Monday feels like Sunday.",
        "Pan American Games were held in 1967, I think.",
    ],
)
def test_no_cue_no_name(text):
    assert finds(text) == set()


def tag(text: str) -> list[dict[str, object]]:
    """As the token-classification pipeline of transformers answers."""
    words = {"Oluwaseun": ("PER", 0.98), "Lagos": ("LOC", 0.99), "Bola": ("PER", 0.3)}
    return [
        {"entity_group": group, "score": score, "word": word, "start": at, "end": at + len(word)}
        for word, (group, score) in words.items()
        if (at := text.find(word)) >= 0
    ]


def test_a_models_entities_are_taken_by_group_and_score():
    text = "Oluwaseun met Bola in Lagos."
    assert list(NerDetector(tag).find(text)) == [Span(0, 9, "PERSON")]
    assert list(NerDetector(tag, kinds={"LOC": "PLACE"}, min_score=0.9).find(text)) == [
        Span(22, 27, "PLACE")
    ]
    masked = Masker([NerDetector(tag)]).mask([text, "Dear Oluwaseun"]).texts
    assert masked == ("<PERSON_1> met Bola in Lagos.", "Dear <PERSON_1>")


def test_a_pipeline_of_transformers_is_such_a_model():
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        BertConfig,
        BertForTokenClassification,
        PreTrainedTokenizerFast,
        pipeline,
    )

    words = {"[PAD]": 0, "[UNK]": 1, "Oluwaseun": 2, "Adeyemi": 3}
    words_to_ids = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    words_to_ids.pre_tokenizer = pre_tokenizers.Whitespace()
    config = BertConfig(
        vocab_size=4,
        hidden_size=4,
        num_hidden_layers=0,
        num_attention_heads=1,
        intermediate_size=4,
        id2label={0: "O", 1: "B-PER", 2: "I-PER"},
    )
    model = BertForTokenClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1)
        model.bert.embeddings.word_embeddings.weight.copy_(torch.eye(4))
        model.classifier.weight.copy_(torch.tensor([[9.0, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words_to_ids, pad_token="[PAD]", unk_token="[UNK]"
    )
    tagger = pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple"
    )
    assert list(NerDetector(tagger).find("for Oluwaseun Adeyemi today")) == [Span(4, 21, "PERSON")]
