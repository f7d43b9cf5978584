"""Networks: attention of their own says what transformers' says; growing deeper changes next to nothing at first."""

import copy
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore:::torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from eventx import network, recipe, train, warmstart  # noqa: E402


def _batch():
    ids = torch.randint(5, 400, (3, 30), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    mask[2, 29:] = 0
    return ids, mask


def _bent(config):
    """Return a network whose normalisations are not those of a new one."""
    net = train.new_network(config).eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "LayerNorm" in name:
                value.add_(0.2 * torch.randn(value.shape, generator=draw))
    return net


def test_attention_on_a_cpu_is_that_of_transformers(tiny_config):
    net = _bent(tiny_config)
    ids, mask = _batch()
    with torch.no_grad():
        for parameter in net.encoder.parameters():  # scores that tell tokens apart
            parameter.mul_(2)
    said = {}
    for name in ("eager", network._PLAIN):
        net.encoder.set_attn_implementation(name)
        net.zero_grad()
        output = net(ids, mask)["tags"][mask.bool()]
        output.square().sum().backward()
        gradient = net.encoder.encoder.layer[0].attention.self.query.weight.grad
        said[name] = output.detach(), gradient.clone()
    assert said["eager"][1].abs().max() > 1e-3
    for first, second in zip(*said.values(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_attention_on_a_cpu_stays_in_bf16_and_finite():
    query, key, value = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(2, 1, 6, 6)
    mask[0, :, :, 4:] = mask[1, :, 5] = torch.finfo(torch.float32).min  # the last: a token that may look nowhere
    module = torch.nn.Module().eval()
    said, _ = network._plain(module, query.bfloat16(), key.bfloat16(), value.bfloat16(), mask)
    assert said.dtype == torch.bfloat16
    assert said.isfinite().all()
    wanted = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
    rows = torch.ones(2, 6, dtype=torch.bool)
    rows[1, 5] = False
    torch.testing.assert_close(said[rows].float(), wanted[rows], rtol=0.05, atol=0.05)
    module.train()
    dropped, _ = network._plain(module, query, key, value, mask, dropout=1.0)
    assert (dropped == 0).all()


def test_networks_on_a_cpu_attend_that_way(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train.new_network(tiny_config).encoder.config._attn_implementation == network._PLAIN


@pytest.mark.parametrize("width", [64, 56, 48])
def test_rounding_to_4_bits_is_better_than_plain_and_done_once(width):
    table = np.random.default_rng(3).normal(0, 0.1, (300, width)).astype(np.float32)
    table[7] = 0
    numbers, scales = network.in_blocks(table)
    assert (numbers.min(), numbers.max()) == (-8, 7)
    assert numbers.shape == (300, -(-width // 32), 32)
    rounded = network.from_blocks(numbers, scales, width)
    np.testing.assert_array_equal(network.from_blocks(*network.in_blocks(rounded), width), rounded)
    blocks = np.pad(table, ((0, 0), (0, -width % 32))).reshape(300, -1, 32)
    step = np.abs(blocks).max(-1, keepdims=True) / 7
    plain = (np.rint(blocks / np.where(step == 0, 1, step)) * step).reshape(300, -1)[:, :width]
    assert np.square(rounded - table).sum() < 0.9 * np.square(plain - table).sum()


def test_frozen_embeddings_are_those_of_the_exported_model(tiny_config):
    net = train.new_network(tiny_config)
    table = net.encoder.get_input_embeddings().weight
    before = table.detach().clone()
    network.freeze_embeddings(net)
    assert not table.requires_grad
    assert 0.01 < ((table - before).norm() / before.norm()) < 0.15
    after = table.detach().clone()
    network.freeze_embeddings(net)
    assert torch.equal(table, after)


def test_a_grown_network_says_nearly_the_same_and_its_new_layers_learn(tiny_config):
    net = _bent(tiny_config)
    ids, mask = _batch()
    with torch.no_grad():
        before = net.encoder(ids, mask).last_hidden_state[mask.bool()]
    shallow = copy.deepcopy(net)
    for layers, kept in ((3, (0, 1)), (4, (0, 2)), (7, (0, 3))):
        net = copy.deepcopy(shallow)
        warmstart.grow(net, layers)
        assert warmstart.depth(net) == layers == len(net.encoder.encoder.layer)
        for at, old in zip(kept, shallow.encoder.encoder.layer, strict=True):
            mine = net.encoder.encoder.layer[at].state_dict()
            assert all(torch.equal(value, mine[name]) for name, value in old.state_dict().items())
        with torch.no_grad():
            after = net.encoder(ids, mask).last_hidden_state[mask.bool()]
        alike = torch.cosine_similarity(before, after, dim=-1)
        assert alike.min() > 0.97
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(2):
        net(ids, mask)["tags"].square().sum().backward()
        optimiser.step()
    new = net.encoder.encoder.layer[1]
    assert new.output.dense.weight.abs().max() > 0
    old = shallow.encoder.encoder.layer[0]
    assert not torch.equal(new.attention.self.query.weight, old.attention.self.query.weight)


def test_what_cannot_be_grown_is_refused(tiny_config):
    net = train.new_network(tiny_config)
    warmstart.grow(net, 2)
    assert warmstart.depth(net) == 2
    with pytest.raises(recipe.RecipeError, match="layers is 1; this encoder has 2 already"):
        train.new_network(dataclasses.replace(tiny_config, layers=1))
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    for kind in ("mpnet", "mobilebert"):
        body = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **small))
        other = network.Network(body, ["flight"], ["asserted"])
        warmstart.grow(other, 2)
        with pytest.raises(warmstart.BaseError, match=f"of the kind {kind} cannot be made deeper"):
            warmstart.grow(other, 3)
    with pytest.raises(recipe.RecipeError, match="layers is -1"):
        dataclasses.replace(tiny_config, layers=-1)


def test_a_base_with_more_layers_makes_the_network_as_deep(tiny_config, tmp_path):
    deep = train.new_network(dataclasses.replace(tiny_config, layers=3))
    network.save(deep, tmp_path)
    begun = train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path)))
    assert warmstart.depth(begun) == 3
    for name, value in deep.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(value, begun.state_dict()[name]), name
    deeper = train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path), layers=6))
    assert warmstart.depth(deeper) == 6
    network.save(deeper, tmp_path / "deeper")
    again = train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path / "deeper")))
    assert warmstart.depth(again) == 6
    state = load_file(tmp_path / "deeper" / "network.safetensors")
    save_file({**state, "encoder.more.weight": torch.zeros(1)}, tmp_path / "deeper" / "network.safetensors")
    with pytest.raises(recipe.RecipeError, match=r"another encoder \(encoder.more.weight differs"):
        train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path / "deeper")))
