"""Graphs: they say what the network says, or are refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")

from eventx import graph, train  # noqa: E402


@pytest.mark.slow
def test_a_graph_is_held_against_its_network(tiny_config, tmp_path):
    net = train.new_network(tiny_config).eval()
    graph.to_onnx(net, tmp_path / "float.onnx")
    windows = [np.arange(5, 5 + size) for size in (7, 40)]
    graph.agree(net, tmp_path / "float.onnx", windows)
    with torch.no_grad():
        net.tag_head.bias[0] += 1
    with pytest.raises(graph.GraphError, match="of the kind bert cannot be exported: its logits part by 1"):
        graph.agree(net, tmp_path / "float.onnx", windows)
    (tmp_path / "float.onnx").write_bytes(b"none")
    with pytest.raises(graph.GraphError, match="of the kind bert cannot be exported"):
        graph.agree(net, tmp_path / "float.onnx", windows)
