"""Repositories with git-ration in them, and safetensors files without any library, for tests."""

import json
import os
import pathlib
import struct
import subprocess
import tempfile

FORMATS = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "U8": "B"}


def checkpoint(tensors, metadata=None):
    """The bytes of a file: tensors is {name: (dtype, shape, values)}, or {name: values} for F32."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in tensors.items():
        dtype, shape, values = tensor if isinstance(tensor, tuple) else ("F32", [len(tensor)], tensor)
        raw = struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def parse(raw):
    """{name: values} and the metadata."""
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        form = FORMATS[entry["dtype"]]
        tensors[name] = list(struct.unpack(f"<{(end - begin) // struct.calcsize(form)}{form}", raw[begin:end]))
    return tensors, metadata


class Repository:
    """A folder with git and nobody's settings but its own."""

    def __init__(self, programs, folder=None, home=None):
        self.temporary = None if folder else tempfile.TemporaryDirectory(prefix="ration-git-")
        top = pathlib.Path(folder or self.temporary.name)
        self.home = pathlib.Path(home or top / "home")
        self.path = top if folder else top / "work"
        self.home.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.environment.update(PATH=f"{programs}:{os.environ['PATH']}", HOME=str(self.home), LC_ALL="C",
                                GIT_CONFIG_GLOBAL=str(self.home / "gitconfig"), GIT_CONFIG_NOSYSTEM="1",
                                GIT_EDITOR="true", GIT_MERGE_AUTOEDIT="no")

    def close(self):
        if self.temporary:
            self.temporary.cleanup()

    def run(self, *words, **options):
        return subprocess.run(words, cwd=self.path, env=self.environment, capture_output=True, text=True, timeout=120,
                              **options)

    def fails(self, *words):
        """What `git WORD…` says when it fails."""
        done = self.run("git", *words)
        if done.returncode == 0:
            raise AssertionError(f"git {' '.join(words)} succeeded:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def git(self, *words):
        done = self.run("git", *words)
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        """`git init`, with checkpoints tracked."""
        self.git("init", "-q", "-b", "main")
        self.git("config", "--global", "user.name", "A")
        self.git("config", "--global", "user.email", "a@example.com")
        self.git("config", "--global", "advice.detachedHead", "false")
        self.git("config", "ration.sync", "false")
        self.git("ration", "install")
        self.git("ration", "track", "*.safetensors")
        self.git("add", ".gitattributes")
        self.git("commit", "-qm", "track checkpoints")

    def write(self, name, tensors, metadata=None):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(checkpoint(tensors, metadata))

    def read(self, name="model.safetensors"):
        return parse((self.path / name).read_bytes())[0]

    def commit(self, tensors, message="change", name="model.safetensors", metadata=None):
        self.write(name, tensors, metadata)
        self.git("add", name)
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD").strip()
