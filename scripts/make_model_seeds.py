#!/usr/bin/env python3
"""Writes corpus/model: seeds of fuzz_model, the smallest models that there can be (make_model_seeds.py [FOLDER]).

A file is 4 bytes (little-endian length of config.json), config.json, then the safetensors. Weights are small numbers that
differ, so that one that lands in another's place shows.
"""
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE = {"F32": 4, "F64": 8, "U8": 1, "I32": 4, "I64": 8, "BOOL": 1}


def safetensors(tensors, metadata=None):
    """tensors: (name, dtype, shape, bytes) in the order of their data."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, content in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def weights(mixture, fused, prefix):
    """Every weight of P = 1, D = 4, L = 1, M = 1, K = 1."""
    mlp = ("mlp.0.w12", "mlp.0.w3") if fused else ("mlp.0", "mlp.2")
    layer = "transformer.layers.0."
    shapes = {"patch_embed.projection.weight": [4, 1], "patch_embed.projection.bias": [4],
              layer + "norm1.scale": [4],
              layer + "attention.wQKV.weight": [12, 4], layer + "attention.wQKV.bias": [12],
              layer + "attention.wO.weight": [4, 4], layer + "attention.wO.bias": [4],
              layer + "norm2.scale": [4],
              layer + mlp[0] + ".weight": [2, 4], layer + mlp[0] + ".bias": [2],
              layer + mlp[1] + ".weight": [4, 1], layer + mlp[1] + ".bias": [4],
              "unembed.weight": [4, 4], "unembed.bias": [4]}
    for head in ("df", "loc_proj", "scale_proj") + (("mixture_weights",) if mixture else ()):
        shapes[f"output_distribution.{head}.weight"] = [1, 4]
        shapes[f"output_distribution.{head}.bias"] = [1]
    at = 0
    for name, shape in shapes.items():
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        yield prefix + name, "F32", shape, struct.pack(f"<{n}f", *(1 + (at + i) / 256 for i in range(n)))
        at += n


def config(**more):
    keys = {"patch_size": 1, "stride": 1, "embed_dim": 4, "num_layers": 1, "num_heads": 1, "mlp_hidden_dim": 1,
            "dropout": 0.1, "spacewise_every_n_layers": -1, "scaler_cls": "StdMeanScaler",
            "output_distribution_classes": ["StudentTOutput"]}
    keys.update(more)
    return keys


def seeds():
    yield "student-t", config(), safetensors(weights(False, False, ""))
    yield "mixture-fused-prefix", config(
        scaler_cls="<class 'model.scaler.CausalPatchStdMeanScaler'>", spacewise_every_n_layers=1, spacewise_first=False,
        stabilize_with_global=True, scale_factor_exponent=2.5,
        output_distribution_classes=["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
        output_distribution_kwargs={"k_components": 1}, pre_xformers_checkpoint=False, is_new=0,
    ), safetensors(weights(True, True, "model."))
    buffer = [("model.transformer.rotary_emb.freqs", "F32", [2], bytes(8))]
    yield "buffer-and-metadata", config(scaler_cls="toto.CausalStdMeanScaler", output_distribution_kwargs=None), \
        safetensors([*weights(False, False, "model."), *buffer], {"format": "pt"})
    types = [("byte", "U8", [1], b"\1"), ("none", "F32", [0, 3], b"")]
    types += [(t.lower(), t, [2], bytes(range(2 * SIZE[t]))) for t in SIZE] + [("scalar", "F64", [], bytes(8))]
    yield "every-type-misaligned", {}, safetensors(types)
    bent = [(n, t, [2, 2] if n.endswith("wO.bias") else s, c) for n, t, s, c in weights(False, False, "")]
    yield "refused-shape-of-equal-count", config(), safetensors(bent)
    yield "two-tensors", {}, safetensors([("a", "U8", [2], b"\1\2"), ("b", "U8", [2], b"\3\4")])


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "corpus/model")
    for name, keys, tensors in seeds():
        text = json.dumps(keys).encode()
        (folder / f"{name}.bin").write_bytes(struct.pack("<I", len(text)) + text + tensors)


if __name__ == "__main__":
    main()
