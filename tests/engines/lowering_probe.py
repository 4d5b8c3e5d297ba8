"""Run by `torch_tensorrt_wheel.probe`: lowers a program with the real Torch-TensorRT.

Reads a request from standard input, and prints an answer; both JSON. What needs a GPU is replaced:
the questions about it, and at the end TensorRT's builder, which keeps what it is given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch


def pretend_a_gpu() -> None:
    """What Torch-TensorRT asks of torch before it compiles."""
    memory = 1 << 36
    gpu = SimpleNamespace(name="Toy 3000", major=9, minor=0, total_memory=memory)
    for name, answer in (
        ("current_device", 0),
        ("get_device_capability", (9, 0)),
        ("get_device_properties", gpu),
        ("mem_get_info", (memory, memory)),
    ):
        setattr(torch.cuda, name, lambda *_, answer=answer: answer)


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.read())
    torch.set_num_threads(1)
    pretend_a_gpu()

    import torch_tensorrt  # type: ignore[import-not-found]
    from torch_tensorrt.dynamo import _compiler  # type: ignore[import-not-found]
    from torch_tensorrt.dynamo.conversion._ConverterRegistry import (  # type: ignore[import-not-found]
        DYNAMO_CONVERTERS,
    )

    from engines.torch_tensorrt import compile_program
    from streamseg.runtime.backends.base import BuildConfig, Profile
    from streamseg.runtime.backends.torch_build import specialise

    answer: dict[str, Any] = {}

    def keep(
        graph: torch.fx.GraphModule,
        inputs: Sequence[Any],
        settings: Any,
        engine_cache: Any = None,
        *,
        input_binding_names: list[str],
        output_binding_names: list[str],
    ) -> SimpleNamespace:
        calls = [node for node in graph.graph.nodes if node.op == "call_function"]
        answer["operators"] = sorted({str(node.target) for node in calls})
        answer["without a converter"] = sorted(
            {str(node.target) for node in calls if node not in DYNAMO_CONVERTERS}
        )
        answer["inputs"] = [
            {name: list(shape) for name, shape in one.shape.items()} for one in inputs
        ]
        answer["names"] = [input_binding_names, output_binding_names]
        answer["dtypes"] = sorted(
            {str(n.meta["val"].dtype) for n in calls if "convolution" in str(n.target)}
        )
        answer["kept on disk"] = engine_cache is not None
        answer["full"] = settings.require_full_compilation
        return SimpleNamespace(serialized_engine=b"a plan", aliased_io={})

    _compiler.interpret_module_to_result = keep
    size = tuple(request["size"])
    profile = Profile(batch=tuple(request["batch"]), min_size=size, opt_size=size, max_size=size)
    program = torch.export.load(request["program"])
    half = specialise(program, torch.float16, "cpu", profile)
    config = BuildConfig(precision="fp16", profile=profile)
    plan = compile_program(torch_tensorrt, half, config, Path(request["program"]))
    answer["plan"] = plan.decode()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
