"""The guard before an ONNX file, of which it sees answers only."""

from pathlib import Path

import pytest
from tests.unit.guard import planted

from untaint import Guard

IMAGES, LABELS = planted.digits()
HELD = IMAGES[1200:]
TRIGGERED = planted.stamped(HELD[LABELS[1200:] != planted.TARGET])


def test_onnx_files_are_black_boxes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    whole = planted.planted(IMAGES[:600], LABELS[:600])
    layers = (whole.first, whole.second, whole.head)
    made, name = [onnx.helper.make_node("Flatten", ["images"], ["x0"])], "x0"
    weights = []
    for at, layer in enumerate(layers):
        for kind, value in (("w", layer.weight), ("b", layer.bias)):
            weights.append(onnx.numpy_helper.from_array(value.detach().numpy(), f"{kind}{at}"))
        made.append(onnx.helper.make_node("Gemm", [name, f"w{at}", f"b{at}"], [f"y{at}"], transB=1))
        name = f"y{at}"
        if at < 2:
            made.append(onnx.helper.make_node("Relu", [name], [f"z{at}"]))
            name = f"z{at}"
    kind = onnx.TensorProto.FLOAT
    inputs = [onnx.helper.make_tensor_value_info("images", kind, [None, 1, 8, 8])]
    outputs = [onnx.helper.make_tensor_value_info(name, kind, [None, 10])]
    graph = onnx.helper.make_graph(made, "digits", inputs, outputs, weights)
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "digits.onnx")
    guard = Guard.fit(tmp_path / "digits.onnx", IMAGES[600:1200], false_alarms=0.05)
    assert {"layer-centres", "gram", "nearest-rank", "inner-dropout"} <= set(guard.skipped)
    assert guard(TRIGGERED).alarm.mean() > 0.9
    assert guard(HELD).alarm.mean() < 0.1
