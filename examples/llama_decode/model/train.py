#!/usr/bin/env python3
"""Trains the small model that ships with llama_decode, and writes it as a GGUF file.

    train.py [-o stories.gguf] [--stories N] [--steps N] [--minutes M] [--device cuda]

Needs PyTorch, NumPy and the tokenizers package. The text is made by stories.py; nothing is downloaded. A byte-level BPE
tokenizer is trained on it (llama-bpe splitting), then a Llama of 1.8 million weights: the same architecture as Llama 3,
grouped heads and tied embeddings included. Matrices are stored as Q8_0, norms as F32.
"""

import argparse
import json
import math
import random
import struct
import time

import numpy as np
import tokenizers
import torch
import torch.nn.functional as F

import stories

SHAPE = dict(layers=4, width=192, hidden=512, heads=3, kv_heads=1, head=64, vocabulary=1024, context=512)
EPSILON, ROPE_BASE = 1e-5, 10000.0
BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
# How llama-bpe cuts text before merging; a program that reads the file knows it by that name.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_tokenizer(texts):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=SHAPE["vocabulary"] - 2, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([BEGIN, END])
    if tokenizer.get_vocab_size() != SHAPE["vocabulary"]:
        raise SystemExit(f"the text gives only {tokenizer.get_vocab_size()} tokens")
    return tokenizer


class Llama(torch.nn.Module):
    """As in Llama 3; rotated pairs are neighbours, which is how GGUF files of this architecture keep them."""

    def __init__(self):
        super().__init__()
        s, width = SHAPE, SHAPE["width"]
        sizes = dict(
            attn_q=(s["heads"] * s["head"], width),
            attn_k=(s["kv_heads"] * s["head"], width),
            attn_v=(s["kv_heads"] * s["head"], width),
            attn_output=(width, s["heads"] * s["head"]),
            ffn_gate=(s["hidden"], width),
            ffn_up=(s["hidden"], width),
            ffn_down=(width, s["hidden"]),
        )
        weights = {"token_embd": torch.randn(s["vocabulary"], width) * 0.02, "output_norm": torch.ones(width)}
        for layer in range(s["layers"]):
            for name, (rows, columns) in sizes.items():
                scale = columns**-0.5 / (math.sqrt(2 * s["layers"]) if name in ("attn_output", "ffn_down") else 1)
                weights[f"blk.{layer}.{name}"] = torch.randn(rows, columns) * scale
            weights[f"blk.{layer}.attn_norm"] = torch.ones(width)
            weights[f"blk.{layer}.ffn_norm"] = torch.ones(width)
        # Parameters cannot have dots in their names.
        self.weights = torch.nn.ParameterDict(
            {name.replace(".", ":"): torch.nn.Parameter(w) for name, w in weights.items()}
        )
        angle = torch.arange(s["context"])[:, None] * ROPE_BASE ** (-torch.arange(0, s["head"], 2) / s["head"])
        self.register_buffer("turn", torch.stack([angle.cos(), angle.sin()]), persistent=False)

    def rotate(self, x):
        cos, sin = self.turn[:, : x.shape[-2]]
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def forward(self, tokens):
        s, w = SHAPE, lambda name: self.weights[name.replace(".", ":")]
        norm = lambda x, name: F.rms_norm(x.float(), (s["width"],), w(name), EPSILON).to(x.dtype)
        x = F.embedding(tokens, w("token_embd"))
        split = lambda y, heads: y.unflatten(-1, (heads, s["head"])).transpose(1, 2)
        for layer in range(s["layers"]):
            p = f"blk.{layer}."
            y = norm(x, p + "attn_norm")
            q = self.rotate(split(F.linear(y, w(p + "attn_q")), s["heads"]))
            k = self.rotate(split(F.linear(y, w(p + "attn_k")), s["kv_heads"]))
            v = split(F.linear(y, w(p + "attn_v")), s["kv_heads"])
            k, v = (z.repeat_interleave(s["heads"] // s["kv_heads"], 1) for z in (k, v))
            y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
            x = x + F.linear(y.transpose(1, 2).flatten(-2), w(p + "attn_output"))
            y = norm(x, p + "ffn_norm")
            x = x + F.linear(F.silu(F.linear(y, w(p + "ffn_gate"))) * F.linear(y, w(p + "ffn_up")), w(p + "ffn_down"))
        return F.linear(norm(x, "output_norm"), w("token_embd"))


def train(stream, steps, minutes, device):
    """Cross entropy over windows of the stream; the learning rate rises, then falls along a cosine."""
    torch.manual_seed(1)
    model, window, batch, top = Llama().to(device), 320, 192, 3e-3
    print(f"{sum(p.numel() for p in model.parameters()):,} weights, {len(stream):,} tokens of text", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=top, betas=(0.9, 0.95), weight_decay=0.05)
    run = torch.compile(model) if device == "cuda" else model
    stream = torch.from_numpy(stream).to(device)
    offsets = torch.arange(window + 1, device=device)
    began, done = time.time(), 0.0
    for step in range(steps):
        # Progress is the larger part spent, of steps or of time: the rate reaches its end with either.
        done = max(step / steps, (time.time() - began) / (60 * minutes))
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = top * min(1, (step + 1) / 100) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
        at = torch.randint(0, len(stream) - window - 1, (batch, 1), device=device)
        tokens = stream[at + offsets].long()
        with torch.autocast(device, torch.bfloat16):
            logits = run(tokens[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0:
            print(f"step {step:6}  {time.time() - began:6.0f} s  loss {loss.item():.4f}", flush=True)
    print(f"last loss {loss.item():.4f} after {time.time() - began:.0f} s", flush=True)
    return model.float().cpu()


def q8_0(matrix):
    """Blocks of 32: a half-precision scale, then 32 signed bytes."""
    blocks = matrix.reshape(-1, 32)
    scale = (np.abs(blocks).max(1) / 127).astype(np.float16)
    inverse = np.divide(1, scale.astype(np.float32), out=np.zeros(len(scale), np.float32), where=scale > 0)
    quants = np.clip(np.rint(blocks * inverse[:, None]), -127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8).reshape(-1, 2), quants.view(np.uint8)], 1)


U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def packed(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def field(key, kind, value):
    value = packed(value) if kind == STRING else struct.pack({U32: "<I", F32: "<f", BOOL: "<?"}[kind], value)
    return packed(key) + struct.pack("<I", kind) + value


def array(key, kind, values):
    body = b"".join(map(packed, values)) if kind == STRING else np.array(values, np.int32).tobytes()
    return packed(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body


def write_gguf(path, model, tokenizer):
    s = SHAPE
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in merges]
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    fields = [
        field("general.architecture", STRING, "llama"),
        field("general.type", STRING, "model"),
        field("general.name", STRING, "doorbell stories"),
        field("general.license", STRING, "MIT OR Apache-2.0"),
        field("general.alignment", U32, 32),
        field("general.file_type", U32, 7),
        field("general.quantization_version", U32, 2),
        field("llama.block_count", U32, s["layers"]),
        field("llama.context_length", U32, s["context"]),
        field("llama.embedding_length", U32, s["width"]),
        field("llama.feed_forward_length", U32, s["hidden"]),
        field("llama.attention.head_count", U32, s["heads"]),
        field("llama.attention.head_count_kv", U32, s["kv_heads"]),
        field("llama.attention.key_length", U32, s["head"]),
        field("llama.attention.value_length", U32, s["head"]),
        field("llama.attention.layer_norm_rms_epsilon", F32, EPSILON),
        field("llama.rope.freq_base", F32, ROPE_BASE),
        field("llama.rope.dimension_count", U32, s["head"]),
        field("llama.vocab_size", U32, s["vocabulary"]),
        field("tokenizer.ggml.model", STRING, "gpt2"),
        field("tokenizer.ggml.pre", STRING, "llama-bpe"),
        array("tokenizer.ggml.tokens", STRING, [token for token, _ in vocabulary]),
        array("tokenizer.ggml.token_type", I32, [3 if i in (begin, end) else 1 for _, i in vocabulary]),
        array("tokenizer.ggml.merges", STRING, merges),
        field("tokenizer.ggml.bos_token_id", U32, begin),
        field("tokenizer.ggml.eos_token_id", U32, end),
        field("tokenizer.ggml.add_bos_token", BOOL, True),
    ]
    infos, data = [], b""
    for name, weight in model.weights.items():
        values = weight.detach().numpy().astype(np.float32)
        kind, body = (8, q8_0(values).tobytes()) if values.ndim == 2 else (0, values.tobytes())
        infos.append(
            packed(name.replace(":", ".") + ".weight")
            + struct.pack(f"<I{values.ndim}Q", values.ndim, *reversed(values.shape))
            + struct.pack("<IQ", kind, len(data))
        )
        data += body + bytes(-len(body) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(fields)) + b"".join(fields) + b"".join(infos)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)
    print(f"{path}: {len(head) + len(data):,} bytes")


def tell(model, tokenizer, prompt, temperature, seed):
    """A story by the trained model itself, to see that it speaks."""
    torch.manual_seed(seed)
    tokens = [tokenizer.token_to_id(BEGIN)] + tokenizer.encode(prompt).ids
    with torch.no_grad():
        while len(tokens) < SHAPE["context"] and tokens[-1] != tokenizer.token_to_id(END):
            logits = model(torch.tensor([tokens]))[0, -1]
            tokens.append(
                int(logits.argmax() if temperature == 0 else torch.multinomial((logits / temperature).softmax(0), 1))
            )
    return tokenizer.decode(tokens[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", default="stories.gguf")
    parser.add_argument("--stories", type=int, default=150_000, help="how many stories to learn from")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--minutes", type=float, default=30, help="stop after this time at the latest")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    rng = random.Random(1)
    texts = [stories.story(rng) for _ in range(arguments.stories)]
    tokenizer = train_tokenizer(texts[:20_000])
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    stream = np.concatenate([np.array([begin, *e.ids, end], np.int16) for e in tokenizer.encode_batch(texts)])
    model = train(stream, arguments.steps, arguments.minutes, arguments.device)
    write_gguf(arguments.output, model, tokenizer)
    for prompt, temperature in [("", 0), ("The Race", 0.7), ("Brave", 0.7), ("", 0.8), ("", 0.8)]:
        print("\n---", prompt or "(no prompt)", temperature, "\n" + tell(model, tokenizer, prompt, temperature, 7))


if __name__ == "__main__":
    main()
