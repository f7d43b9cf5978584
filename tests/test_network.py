"""Networks: attention of their own says what transformers' says; growing deeper changes next to nothing at first."""

import copy
import dataclasses

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch")

from eventx import network, recipe, train  # noqa: E402


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


def test_a_grown_network_says_nearly_the_same_and_its_new_layers_learn(tiny_config):
    net = _bent(tiny_config)
    ids, mask = _batch()
    with torch.no_grad():
        before = net.encoder(ids, mask).last_hidden_state[mask.bool()]
    shallow = copy.deepcopy(net)
    for layers, kept in ((3, (0, 1)), (4, (0, 2))):
        net = copy.deepcopy(shallow)
        network.grow(net, layers)
        assert network.depth(net) == layers == len(net.encoder.encoder.layer)
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
    network.grow(net, 2)
    assert network.depth(net) == 2
    for layers in (1, 5):
        with pytest.raises(recipe.RecipeError, match=f"layers is {layers}; this encoder has 2 and can be given up to"):
            train.new_network(dataclasses.replace(tiny_config, layers=layers))
    net.encoder.encoder.layer[0].output = torch.nn.Identity()
    del net.encoder.encoder.layer[0].attention
    with pytest.raises(network.BaseError, match="of the kind bert cannot be given more layers"):
        network.grow(net, 3)
    with pytest.raises(recipe.RecipeError, match="layers is -1"):
        dataclasses.replace(tiny_config, layers=-1)


def test_a_base_with_more_layers_makes_the_network_as_deep(tiny_config, tmp_path):
    deep = train.new_network(dataclasses.replace(tiny_config, layers=3))
    network.save(deep, tmp_path)
    begun = train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path)))
    assert network.depth(begun) == 3
    for name, value in deep.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(value, begun.state_dict()[name]), name
    deeper = train.new_network(dataclasses.replace(tiny_config, base=str(tmp_path), layers=4))
    assert network.depth(deeper) == 4
