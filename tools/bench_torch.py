#!/usr/bin/env python3
"""The peer of `ration-train --bench`: the same model in PyTorch, from the weights and tokens that --export wrote.

    tools/bench_torch.py FILE [--threads N] [--device cuda] [--compile]

Prints one JSON object: CPU and wall seconds of a step (medians without the first) and the loss of every step. It uses what PyTorch
has for speed: scaled_dot_product_attention, fused norms and losses, fused AdamW; --compile gives the loss to torch.compile. Needs
torch alone.
"""

import argparse
import json
import statistics
import struct
import time
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

TYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


def read(path):
    """Tensors by name and the metadata of a safetensors file."""
    data = bytearray(open(path, "rb").read())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about = header.pop("__metadata__", {})
    tensors = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        flat = torch.frombuffer(data, dtype=TYPES[info["dtype"]], offset=8 + length + begin,
                                count=(end - begin) // TYPES[info["dtype"]].itemsize)
        tensors[name] = flat.view(info["shape"]).clone()
    return tensors, about


class Model:
    def __init__(self, spec, parameters):
        self.spec = spec
        self.p = parameters
        self.half = spec["width"] // spec["heads"] // 2
        if spec["family"] == "llama":
            frequency = spec["rope_base"] ** (-torch.arange(self.half, dtype=torch.float64) / self.half)
            angles = torch.outer(torch.arange(spec["context"], dtype=torch.float64), frequency)
            kind = parameters["wte"].dtype
            where = parameters["wte"].device
            self.cos, self.sin = angles.cos().to(where, kind), angles.sin().to(where, kind)

    def norm(self, x, name):
        gain, width = self.p[name + ".g"], (self.spec["width"],)
        if self.spec["family"] == "llama":
            return F.rms_norm(x, width, gain, self.spec["norm_eps"])
        return F.layer_norm(x, width, gain, self.p.get(name + ".b"), self.spec["norm_eps"])

    def linear(self, x, name):
        return F.linear(x, self.p[name + ".w"], self.p.get(name + ".b"))

    def rotate(self, x):
        a, b = x[..., : self.half], x[..., self.half :]
        return torch.cat((a * self.cos - b * self.sin, b * self.cos + a * self.sin), -1)

    def attention(self, x, h):
        batch, positions, width = x.shape
        q, k, v = self.linear(x, h + "attn.qkv").view(batch, positions, 3, self.spec["heads"], -1).permute(2, 0, 3, 1, 4)
        if self.spec["family"] == "llama":
            q, k = self.rotate(q), self.rotate(k)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(mixed.transpose(1, 2).reshape(batch, positions, width), h + "attn.o")

    def mlp(self, x, h):
        up = self.linear(x, h + "mlp.up")
        kind = self.spec["mlp"]
        if kind == "swiglu":
            hidden = F.silu(self.linear(x, h + "mlp.gate")) * up
        elif kind == "relu2":
            hidden = F.relu(up).square()
        else:
            hidden = F.gelu(up, approximate="tanh" if kind == "gelu_tanh" else "none")
        return self.linear(hidden, h + "mlp.down")

    def loss(self, inputs, targets):
        x = F.embedding(inputs, self.p["wte"])
        if "wpe" in self.p:
            x = x + self.p["wpe"]
        for i in range(self.spec["layers"]):
            h = f"h{i}."
            x = x + self.attention(self.norm(x, h + "ln1"), h)
            x = x + self.mlp(self.norm(x, h + "ln2"), h)
        logits = F.linear(self.norm(x, "lnf"), self.p["wte"] if self.spec["tied"] else self.p["head.w"])
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile the loss; the first steps, which compile, are left out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tensors, about = read(options.file)
    spec = json.loads(about["spec"])
    tokens = tensors.pop("tokens")
    parameters = {name: tensor.to(options.device).requires_grad_() for name, tensor in tensors.items()}
    model = Model(spec, parameters)
    loss_of = torch.compile(model.loss) if options.compile else model.loss
    not_timed = min(3, len(tokens) - 1) if options.compile else 1
    matrices = [p for p in parameters.values() if p.dim() >= 2]
    rest = [p for p in parameters.values() if p.dim() < 2]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": spec["weight_decay"]}, {"params": rest, "weight_decay": 0.0}],
        lr=spec["lr"], betas=(spec["beta1"], spec["beta2"]), eps=spec["adam_eps"], fused=True)

    losses, cpu, wall = [], [], []
    for step in tokens:
        began, cpu_began = time.perf_counter(), time.process_time()
        step = step.to(options.device)
        inputs, targets = step[:, :-1].contiguous(), step[:, 1:].contiguous()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(options.device, torch.bfloat16, enabled=spec["precision"] == "bf16"):
            loss = loss_of(inputs, targets)
        loss.backward()
        if spec["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(parameters.values(), spec["clip"])
        optimiser.step()
        losses.append(loss.item())
        cpu.append(time.process_time() - cpu_began)
        wall.append(time.perf_counter() - began)
    print(json.dumps({"torch": torch.__version__, "cpu_s": statistics.median(cpu[not_timed:]),
                      "wall_s": statistics.median(wall[not_timed:]), "losses": losses}))


if __name__ == "__main__":
    main()
