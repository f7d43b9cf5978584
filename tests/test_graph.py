"""Graphs: they say what the network says, or are refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from eventx import graph, train  # noqa: E402


@pytest.mark.parametrize("width", [48, 64])
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
    block = 32 if width % 32 == 0 else 16
    numbers, scales = graph._in_blocks(table, block)
    assert (numbers.min(), numbers.max()) == (-8, 7)
    wanted = numbers.reshape(1200, -1, block) * scales.astype(np.float32)[..., None]
    np.testing.assert_allclose(rows, wanted.reshape(table.shape), atol=1e-3)
    assert (rows[7] == 0).all()
    blocks = table.reshape(1200, -1, block)
    plain = np.abs(blocks).max(-1, keepdims=True) / 7
    rounded = np.rint(blocks / np.where(plain == 0, 1, plain)) * plain
    assert np.square(wanted - blocks).sum() < 0.85 * np.square(rounded - blocks).sum()
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
