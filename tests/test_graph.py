"""Graphs: they say what the network says, or are refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from eventx import graph, network, train, warmstart  # noqa: E402


@pytest.mark.parametrize("width", [56, 64])
def test_a_table_in_4_bits_is_read_as_it_was_rounded(width, tmp_path):
    table = np.random.default_rng(3).normal(0, 0.1, (1200, width)).astype(np.float32)
    table[7] = 0
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Gather", ["table", "ids"], ["rows"])],
            "lookup",
            [helper.make_tensor_value_info("ids", TensorProto.INT64, ["count"])],
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["count", width])],
            [numpy_helper.from_array(table, "table")],
        ),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )
    graph._quantise_embeddings(model)
    onnx.save(model, tmp_path / "lookup.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "lookup.onnx"), providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"ids": np.arange(1200)})
    rounded = network.from_blocks(*network.in_blocks(table), width)
    np.testing.assert_allclose(rows, rounded, atol=1e-3)
    assert (rows[7] == 0).all()
    assert (tmp_path / "lookup.onnx").stat().st_size < 0.2 * table.nbytes


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


@pytest.mark.slow
def test_a_network_that_has_just_grown_is_exported_as_it_is(tiny_config, tmp_path):
    net = train.new_network(tiny_config).eval()
    warmstart.grow(net, 3)
    with torch.no_grad():
        net.encoder.encoder.layer[1].output.dense.weight.normal_(0, 0.1)
    graph.to_onnx(net, tmp_path / "float.onnx")
    graph.agree(net, tmp_path / "float.onnx", [np.arange(5, 45)])
    kinds = [node.op_type for node in onnx.load(tmp_path / "float.onnx").graph.node]
    assert kinds.count("MultiHeadAttention") == 3
    assert "Softmax" not in kinds
