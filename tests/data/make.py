"""Make what the tests train and load: a tiny random encoder, and a tiny model trained on the seeds with it.

    python tests/data/make.py

writes `tests/data/encoder` and `tests/data/tiny`. Both are real in every part but their size.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from eventx import export, recipe, train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def make_encoder(folder: Path) -> None:
    """Write an encoder of two layers, 48 wide, with word pieces learnt from the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train([str(file) for file in sorted((ROOT / "seeds").glob("*.txt"))], vocab_size=1500, min_frequency=1)
    pair = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pair)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def make_model(folder: Path) -> None:
    """Train on the seeds until the tiny network knows them by heart, and export it."""
    config = recipe.TrainConfig.read(HERE / "tiny.toml")
    articles, _ = train.articles_of(config, None)
    with tempfile.TemporaryDirectory() as place:
        train.train(config, articles, (), Path(place), report=print)
        shutil.rmtree(folder, ignore_errors=True)
        export.export(Path(place), folder, articles, name="tiny", calibrating=False, max_loss=0.05, report=print)
    config = json.loads((folder / "config.json").read_text())
    config["precision"] = [[0.5, 0.1], [0.9, 0.6]]  # made up, for tests of what asks for one: nothing is held out here
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    make_encoder(HERE / "encoder")
    make_model(HERE / "tiny")
