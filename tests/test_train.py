"""Training: configurations are strict, runs are repeatable, resuming changes nothing, export keeps the spans."""

import dataclasses
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")

from safetensors.torch import load_file  # noqa: E402

import eventx  # noqa: E402
from eventx import batches, export, inference, labels, metrics, network, recipe, runs, train  # noqa: E402
from eventx.encode import allowed  # noqa: E402


def test_news_needs_its_texts(root):
    with pytest.raises(labels.LabelError, match="--texts"):
        train.articles_of(recipe.TrainConfig.read(root / "configs" / "news.toml"), None)


def test_the_crf_loss_is_the_exact_likelihood():
    import itertools

    torch.manual_seed(0)
    crf = network.Crf(["a"])
    torch.nn.init.normal_(crf.scores)
    emissions = torch.randn(1, 4, 3)
    gold = torch.tensor([[0, 1, network.IGNORE, 2]])
    table = crf.scores + crf.barred

    def total(path):
        steps = table[-1, path[0]] + sum(table[left, right] for left, right in itertools.pairwise(path))
        return steps + sum(emissions[0, at, tag] for at, tag in zip((0, 1, 3), path, strict=True))

    everything = torch.logsumexp(torch.stack([total(path) for path in itertools.product(range(3), repeat=3)]), 0)
    assert crf.loss(emissions, gold).item() == pytest.approx(((everything - total((0, 1, 2))) / 3).item(), rel=1e-4)
    assert allowed(["a"]).shape == (4, 3)


def test_shared_dropout_drops_whole_channels():
    torch.manual_seed(0)
    drop = network.SharedDropout(0.5)
    hidden = drop(torch.ones(3, 7, 40))
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    assert set(hidden.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(drop.eval()(torch.ones(2, 2)), torch.ones(2, 2))


@pytest.mark.slow
def test_a_run_is_repeatable_and_resuming_changes_nothing(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, epochs=4, dropout=0.1, encoder_dropout=0.1, average=0.9)
    articles, _ = train.articles_of(config, None)

    class StoppedError(Exception):
        pass

    def stop(line):
        if line.startswith("epoch 3/"):
            raise StoppedError

    dev = articles[:2]
    history = train.train(config, articles, dev, tmp_path / "whole")
    train.train(config, articles, dev, tmp_path / "again")
    with pytest.raises(StoppedError):
        train.train(config, articles, dev, tmp_path / "broken", report=stop)
    with pytest.raises(recipe.RecipeError, match="--resume"):
        train.train(config, articles, (), tmp_path / "broken")
    with pytest.raises(recipe.RecipeError, match="another recipe"):
        train.train(dataclasses.replace(config, seed=2), articles, (), tmp_path / "broken", resume=True)
    resumed = train.train(config, articles, dev, tmp_path / "broken", resume=True)
    assert resumed["members"] == history["members"]
    assert [epoch["dev_f1"] is not None for epoch in history["members"][0]] == [True] * 4
    whole = load_file(tmp_path / "whole" / "network.safetensors")
    for name in ("again", "broken"):
        other = load_file(tmp_path / name / "network.safetensors")
        assert whole.keys() == other.keys()
        assert all(torch.equal(whole[key], other[key]) for key in whole), name
    with pytest.raises(recipe.RecipeError, match="no checkpoint to resume"):
        train.train(config, articles, (), tmp_path / "whole", resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"crf": True, "pieces": "first"}])
def test_torch_and_onnx_mark_the_same_spans(tiny_config, tmp_path, changes):
    config = dataclasses.replace(tiny_config, epochs=40, **changes)
    articles, _ = train.articles_of(config, None)
    run = tmp_path / "run"
    train.train(config, articles, (), run)
    quality = export.export(run, tmp_path / "m", articles, name="m", calibrating=False, max_loss=0.1)
    assert quality.float_f1 > 0.9
    net, coding = network.load(run), batches.coding_of(config)
    floating, small = eventx.load(run / "float"), eventx.load(tmp_path / "m")
    by_torch = [inference.predict(net, coding, article.text) for article in articles]
    by_onnx = [[event.span for event in floating.tag(article.text).events] for article in articles]
    by_int8 = [[event.span for event in small.tag(article.text).events] for article in articles]
    assert by_onnx == by_torch
    assert metrics.count(by_torch, by_int8).f1 > 0.95
    again = runs.read_run(run)
    assert again == config


@pytest.mark.slow
def test_export_refuses_a_model_that_lost_too_much(tiny_config, tmp_path, monkeypatch):
    config = dataclasses.replace(tiny_config, epochs=20)
    articles, _ = train.articles_of(config, None)
    train.train(config, articles, (), tmp_path / "run")
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
    with pytest.raises(export.ExportError, match="not written"):
        export.export(tmp_path / "run", tmp_path / "m", articles, name="m", calibrating=False, max_loss=-0.5)
    assert not (tmp_path / "m").exists()
    with pytest.raises(export.ExportError, match="no trained network"):
        export.export(tmp_path, tmp_path / "m", articles, name="m")


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    """Return the folder of a finished run with its exported model."""
    config = recipe.TrainConfig.read(root / "tests" / "data" / "tiny.toml")
    place = tmp_path_factory.mktemp("finished")
    articles, _ = train.articles_of(config, None)
    train.train(config, articles, (), place)
    export.export(place, place / "model", articles, name="tiny", calibrating=False, max_loss=0.1)
    return place


@pytest.mark.slow
def test_training_goes_on_from_an_exported_model(tiny_config, finished, tmp_path):
    config = dataclasses.replace(tiny_config, base=str(finished / "model"))
    articles, _ = train.articles_of(config, None)
    net, coding, tagger = train.new_network(config).eval(), batches.coding_of(config), eventx.load(finished / "model")
    for article in articles:  # before any training it marks what the model marks
        found = {(span.start, span.end, span.label) for span in inference.predict(net, coding, article.text)}
        wanted = {(span.start, span.end, span.label) for span, _ in tagger.spans(article.text)}
        assert len(found & wanted) >= 0.9 * len(found | wanted)
    train.train(dataclasses.replace(config, epochs=1), articles, (), tmp_path / "run")
    assert runs.read_run(tmp_path / "run").base == config.base
    again = train.new_network(dataclasses.replace(config, base=str(tmp_path / "run")))
    kept = network.load(tmp_path / "run").state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in kept.items() if "loss" not in name)


@pytest.mark.slow
def test_a_share_of_the_base_is_kept(tiny_config, finished, tmp_path):
    config = dataclasses.replace(tiny_config, base=str(finished), epochs=1)
    articles, _ = train.articles_of(config, None)
    for name, keep in (("whole", 0.0), ("kept", 0.25)):
        train.train(dataclasses.replace(config, keep=keep), articles, (), tmp_path / name)
    base, whole, kept = (
        load_file(place / "network.safetensors") for place in (finished, tmp_path / "whole", tmp_path / "kept")
    )
    assert any(not torch.equal(base[name], whole[name]) for name in base)
    assert all(torch.allclose(kept[name], 0.75 * whole[name] + 0.25 * base[name], atol=1e-6) for name in base)
    with pytest.raises(recipe.RecipeError, match="keep needs weights to begin with"):
        train.train(dataclasses.replace(tiny_config, keep=0.25), articles, (), tmp_path / "none")


@pytest.mark.slow
def test_training_goes_on_from_the_shipped_model(root, seeds, tagger):
    config = recipe.TrainConfig.read(root / "configs" / "seeds.toml")
    config = dataclasses.replace(config, base=str(root / "models" / "news-small"), window=tagger.config.window)
    net, coding = train.new_network(config).eval(), batches.coding_of(config)
    text = seeds[0].read_text(encoding="utf-8")
    found = {(span.start, span.end, span.label) for span in inference.predict(net, coding, text)}
    wanted = {(span.start, span.end, span.label) for span, _ in tagger.spans(text)}
    assert len(found & wanted) >= 0.9 * len(found | wanted) > 0


@pytest.mark.slow
def test_a_base_keeps_the_heads_of_its_types(tiny_config, finished, root):
    from eventx.schema import Schema, tags

    wider = Schema.from_dict({"types": {"ceasefire": "they stop", **tiny_config.schema.definitions}})
    old = train.new_network(dataclasses.replace(tiny_config, base=str(finished)))
    new = train.new_network(dataclasses.replace(tiny_config, base=str(finished / "model"), schema=wider))
    names = tags(tiny_config.schema.types)
    for at, name in enumerate(tags(wider.types)):
        if name in names:
            assert torch.allclose(new.tag_head.weight[at], old.tag_head.weight[names.index(name)], atol=0.02)
    with pytest.raises(recipe.RecipeError, match="neither a run nor a model"):
        train.new_network(dataclasses.replace(tiny_config, base=str(root / "seeds")))
    with pytest.raises(recipe.RecipeError, match="made of another encoder"):
        train.new_network(dataclasses.replace(tiny_config, base=str(root / "models" / "news-small")))


def test_a_model_with_8_bit_embeddings_is_gone_on_from(tiny_config, tiny_folder, tmp_path):
    onnx = pytest.importorskip("onnx")
    config = dataclasses.replace(tiny_config, base=str(tiny_folder))
    rows = train.new_network(config).encoder.get_input_embeddings().weight.detach().numpy()
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-6).astype(np.float32) / 127
    model, table = onnx.load(tiny_folder / "model.onnx"), "net.encoder.embeddings.word_embeddings.weight"
    others = [each for each in model.graph.initializer if each.name not in (f"{table}_int4", f"{table}_scale")]
    made = {f"{table}_int8": np.rint(rows / scale).astype(np.int8), f"{table}_scale": scale}
    del model.graph.initializer[:]
    model.graph.initializer.extend([*others, *(onnx.numpy_helper.from_array(v, n) for n, v in made.items())])
    onnx.save(model, tmp_path / "model.onnx")
    shutil.copyfile(tiny_folder / "config.json", tmp_path / "config.json")
    again = train.new_network(dataclasses.replace(config, base=str(tmp_path)))
    assert np.abs(again.encoder.get_input_embeddings().weight.detach().numpy() - rows).max() <= scale.max()


def test_a_model_is_calibrated_anew_without_its_network(tiny_folder, root, tmp_path):
    held_out = labels.read(root / "labels" / "written.jsonl")[:60]
    quality = export.recalibrate(tiny_folder, tmp_path / "model", held_out, overlap=20)
    old, new = eventx.load(tiny_folder).config, eventx.load(tmp_path / "model").config
    assert new.digests == old.digests
    assert (new.window, new.overlap) == (old.window, 20)
    assert new.calibration != old.calibration
    assert quality.error_after < quality.error_before
    with pytest.raises(export.ExportError, match="does not fit"):
        export.recalibrate(tiny_folder, tmp_path / "none", held_out, window=20, overlap=40)
    with pytest.raises(export.ExportError, match="windows of 600 are longer"):
        export.recalibrate(tiny_folder, tmp_path / "none", held_out, window=600)


def test_a_window_longer_than_the_encoder_reads_is_refused(tiny_config):
    with pytest.raises(recipe.RecipeError, match="window is 513; this encoder reads at most 512 word pieces"):
        train.new_network(dataclasses.replace(tiny_config, window=513))
