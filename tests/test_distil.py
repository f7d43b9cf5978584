"""Pre-training and distillation: the losses are what they say, and the results are ordinary encoders and runs."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")

import eventx  # noqa: E402
from eventx import (  # noqa: E402
    batches,
    distil,
    inference,
    metrics,
    network,
    pretrain,
    recipe,
    runs,
    train,
    unlabelled,
    warmstart,
)
from eventx.cli import app  # noqa: E402


@pytest.fixture
def corpus(root, seeds, tmp_path, tiny_config):
    lines = "".join(json.dumps({"text": path.read_text("utf-8")}) + "\n" for path in seeds)
    (tmp_path / "u.jsonl").write_text(lines)
    return unlabelled.read([tmp_path / "u.jsonl"], batches.coding_of(tiny_config))


def test_the_soft_loss_of_certain_targets_is_cross_entropy():
    torch.manual_seed(0)
    tags, manner = torch.randn(2, 5, 11), torch.randn(2, 5, 3)
    gold, modality = torch.randint(11, (2, 5)), torch.randint(3, (2, 5))
    gold[0, 0], gold[1, 4] = 0, 3
    targets = torch.zeros(2, 5, 14)
    targets[..., :11] = torch.nn.functional.one_hot(gold, 11)
    targets[..., 11:] = torch.nn.functional.one_hot(modality, 3)
    targets[1, 0] = 0  # a token that is not learnt
    told = torch.ones(2, 5, dtype=torch.bool)
    told[1, 0] = False
    weights = torch.full((11,), 2.0)
    weights[0] = 1.0
    wanted = torch.nn.functional.cross_entropy(tags[told], gold[told], weight=weights)
    events = told & (gold > 0)
    wanted = wanted + 0.5 * torch.nn.functional.cross_entropy(manner[events], modality[events])
    found = distil.soft_loss({"tags": tags, "modalities": manner}, targets, 2.0, 0.5)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_masking_asks_for_the_share_and_never_for_special_tokens(tiny):
    torch.manual_seed(0)
    coding = tiny._coding
    mask = coding.tokenizer.token_to_id("[MASK]")
    rows = [np.array([coding.first, *range(10, 70), coding.last])] * 200
    batch = pretrain._Mask(coding, 0.2)(rows)
    asked = batch["labels"] != network.IGNORE
    assert asked.float().mean().item() == pytest.approx(0.2 * 60 / 62, abs=0.01)
    assert not asked[:, 0].any()
    assert not asked[:, -1].any()
    hidden = (batch["input_ids"] == mask)[asked].float().mean().item()
    assert hidden == pytest.approx(0.8, abs=0.03)
    assert torch.equal(batch["input_ids"][~asked], torch.tensor(np.stack(rows))[~asked])


@pytest.mark.slow
def test_pretraining_gives_an_encoder_that_guesses_better(corpus, root, tmp_path, tiny_config):
    place = str(root / "tests" / "data" / "encoder")
    config = recipe.PretrainConfig(encoder=place, window=64, epochs=30, batch=8, learning_rate=3e-3, precision="fp32")
    history = pretrain.pretrain(config, corpus, tmp_path / "encoder")
    losses = [entry["loss"] for entry in history["losses"]]
    assert losses[-1] < losses[0] - 0.5
    assert not (tmp_path / "encoder" / "checkpoints").exists()
    net = train.new_network(dataclasses.replace(tiny_config, encoder=str(tmp_path / "encoder")))
    assert net.encoder.config.hidden_size == 48


@pytest.mark.slow
@pytest.mark.parametrize(("start", "keep", "layers"), [("average", 0.25, 3), ("encoder", 0.0, 0)])
def test_a_student_learns_what_its_teachers_know(corpus, tiny_config, tmp_path, start, keep, layers):
    config = dataclasses.replace(tiny_config, members=2, epochs=40)
    articles, _ = train.articles_of(config, None)
    train.train(config, articles, (), tmp_path / "teachers")
    settings = recipe.DistilConfig(
        teachers=(tmp_path / "teachers",),
        start=start,
        keep=keep,
        layers=layers,
        epochs=30,
        batch=8,
        learning_rate=3e-3,
        repeat=1,
        precision="fp32",
    )
    history = distil.distil(settings, articles, (), corpus, tmp_path / "student")
    assert history["teachers"] == 2
    assert not (tmp_path / "student" / "targets.npy").exists()
    said = []
    assert distil.distil(settings, articles, (), corpus, tmp_path / "student", report=said.append) == history
    assert len(said) == 1
    assert "finished already" in said[0]
    net = network.load(tmp_path / "student")
    found = [inference.predict(net, batches.coding_of(config), article.text) for article in articles]
    assert metrics.count([article.spans for article in articles], found).f1 > 0.9
    assert runs.read_run(tmp_path / "student") == dataclasses.replace(config, layers=layers or 2)
    assert warmstart.depth(net) == (layers or 2)
    with pytest.raises(recipe.RecipeError, match="another recipe"):
        distil.distil(dataclasses.replace(settings, epochs=31), articles, (), corpus, tmp_path / "student")
    net.encoder.resize_token_embeddings(100)
    network.save(net, tmp_path / "narrow")
    for place, what in (("nowhere", "no trained network there"), ("narrow", "made of another encoder")):
        begun = dataclasses.replace(settings, start=str(tmp_path / place), keep=0.0)
        with pytest.raises(recipe.RecipeError, match=what):
            distil.distil(begun, articles, (), corpus, tmp_path / "other")


@pytest.mark.slow
def test_a_teacher_with_other_ids_and_windows_says_the_same(corpus, tiny_config, tmp_path):
    """The same network, its vocabulary renumbered: asked beside the first, it changes nothing."""
    config = dataclasses.replace(tiny_config, window=512, epochs=1)
    articles, _ = train.articles_of(config, None)
    train.train(config, articles, (), tmp_path / "first")
    net = network.load(tmp_path / "first")
    vocabulary = json.loads((Path(config.encoder) / "tokenizer.json").read_text())
    count = net.encoder.config.vocab_size
    moved = {piece: (at + 7) % count for piece, at in vocabulary["model"]["vocab"].items()}
    vocabulary["model"]["vocab"] = moved
    for added in vocabulary["added_tokens"]:
        added["id"] = moved[added["content"]]
    for special in vocabulary["post_processor"].get("special_tokens", {}).values():
        special["ids"] = [moved[piece] for piece in special["tokens"]]
    other = tmp_path / "encoder"
    shutil.copytree(config.encoder, other)
    (other / "tokenizer.json").write_text(json.dumps(vocabulary))
    table = net.encoder.get_input_embeddings().weight
    table.data = table.data.roll(7, dims=0)
    network.save(net, tmp_path / "second")
    (tmp_path / "second" / "run.json").write_text(
        json.dumps(dataclasses.replace(config, encoder=str(other), window=300, overlap=200).to_dict())
    )
    coding = batches.coding_of(config)
    said = []
    for names, weights in (
        (("first",), ()),
        (("second",), ()),
        (("first", "second"), ()),
        (("second", "first"), (0.0, 1.0)),
    ):
        settings = recipe.DistilConfig(teachers=tuple(tmp_path / name for name in names), weights=weights)
        distil.ask(distil.teachers_of(settings), corpus, coding, tmp_path / "said.npy", bf16=False)
        said.append(np.load(tmp_path / "said.npy").astype(float))
    assert said[0].shape == (len(corpus.ids), 14)
    np.testing.assert_allclose(said[0][:, :11].sum(1), 1, atol=2e-3)
    np.testing.assert_allclose(said[2], (said[0] + said[1]) / 2, atol=2e-3)
    np.testing.assert_array_equal(said[3], said[0])  # a run without a say is not asked
    first = slice(0, 90)  # far from where the windows of the second end
    np.testing.assert_allclose(said[1][first], said[0][first], atol=0.1)

    shutil.copytree(tmp_path / "second", tmp_path / "wide")
    wider = dataclasses.replace(config, encoder=str(other), window=512, overlap=200)
    (tmp_path / "wide" / "run.json").write_text(json.dumps(wider.to_dict()))
    asked = []
    for run, windows in (("wide", ()), ("second", (512,)), ("second", (0,))):
        settings = recipe.DistilConfig(teachers=(tmp_path / run,), teacher_windows=windows)
        distil.ask(distil.teachers_of(settings), corpus, coding, tmp_path / "said.npy", bf16=False)
        asked.append(np.load(tmp_path / "said.npy").astype(float))
    np.testing.assert_array_equal(asked[0], asked[1])
    np.testing.assert_array_equal(asked[2], said[1])
    assert np.abs(asked[1] - said[1]).max() > 0.01
    assert distil.student_recipe(dataclasses.replace(settings, window=400)).window == 400
    wide = dataclasses.replace(settings, teacher_windows=(5000,))
    with pytest.raises(recipe.RecipeError, match="reads at most 512 word pieces"):
        distil.ask(distil.teachers_of(wide), corpus, coding, tmp_path / "said.npy", bf16=False)

    vocabulary["model"]["vocab"]["!other"] = moved.pop("the")
    (other / "tokenizer.json").write_text(json.dumps(vocabulary))
    with pytest.raises(recipe.RecipeError, match="no word piece 'the'"):
        distil.ask(distil.teachers_of(settings), corpus, coding, tmp_path / "said.npy", bf16=False)


def test_the_views_of_a_corpus_speak_for_each_token_once(corpus, tiny_config):
    coding = dataclasses.replace(batches.coding_of(tiny_config), window=50, overlap=17, lead=5)
    seen = np.zeros(len(corpus.ids), dtype=int)
    for view in corpus.views(coding):
        part = slice(view.start, view.start + view.high - view.low)
        seen[part] += 1
        assert list(view.ids[view.low : view.high]) == list(corpus.ids[part])
    assert (seen == 1).all()


@pytest.mark.slow
def test_teachers_must_be_a_finished_run(tiny_config, tmp_path):
    settings = recipe.DistilConfig(teachers=(tmp_path,))
    with pytest.raises(recipe.RecipeError, match="no run there"):
        distil.teachers_of(settings)
    (tmp_path / "run.json").write_text(json.dumps(tiny_config.to_dict()))
    with pytest.raises(recipe.RecipeError, match="not a finished run"):
        distil.teachers_of(settings)


def test_a_distilled_run_can_teach(tiny_config, tmp_path):
    """It is one network, however many members its recipe, the teachers', asks for."""
    (tmp_path / "run.json").write_text(json.dumps(dataclasses.replace(tiny_config, members=2).to_dict()))
    (tmp_path / "network.safetensors").touch()
    (teacher,) = distil.teachers_of(recipe.DistilConfig(teachers=(tmp_path,)))
    assert (teacher.place, teacher.share) == (tmp_path, 1.0)


@pytest.mark.slow
def test_a_deeper_student_by_the_command_line(corpus, tiny_config, root, tmp_path):
    config = dataclasses.replace(tiny_config, epochs=40)
    articles, _ = train.articles_of(config, None)
    train.train(config, articles, (), tmp_path / "first")
    common = 'teachers = ["first"]\nbatch = 8\nlearning_rate = 3e-3\nrepeat = 2\nprecision = "fp32"\n'
    (tmp_path / "deep.toml").write_text(f'{common}start = "first"\nlayers = 3\nepochs = 20\n')
    words = ["distil", tmp_path / "deep.toml", "--unlabelled", tmp_path / "u.jsonl", "--run", tmp_path / "deep"]
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output
    assert warmstart.depth(network.load(tmp_path / "deep")) == 3
    begun = train.new_network(dataclasses.replace(config, base=str(tmp_path / "deep" / "model")))
    assert warmstart.depth(begun) == 3
    tagger, coding = eventx.load(tmp_path / "deep" / "model"), batches.coding_of(config)
    by_model = [[span for span, _ in tagger.spans(article.text)] for article in articles]
    found = [inference.predict(begun.eval(), coding, article.text) for article in articles]
    assert metrics.count(by_model, found).f1 > 0.95
    for start, depth in (("deep", 3), ("first", 2)):  # without layers it stays as deep as what it begins with
        settings = recipe.DistilConfig(
            teachers=(tmp_path / ("first" if depth == 3 else "deep"),), start=str(tmp_path / start), epochs=1
        )
        distil.distil(settings, articles, (), corpus, tmp_path / f"from-{start}")
        assert warmstart.depth(network.load(tmp_path / f"from-{start}")) == depth
        assert runs.read_run(tmp_path / f"from-{start}").layers == depth

    missing = CliRunner().invoke(
        app, ["distil", str(tmp_path / "deep.toml"), "--unlabelled", str(tmp_path / "no.jsonl")]
    )
    assert missing.exit_code != 0
    assert "no.jsonl: no such file" in missing.output
