#!/usr/bin/env python3
"""Near-duplicates the usual Python way, for tools/bench data: bench_datasketch.py FOLDER BYTES

Word 5-grams, 128 permutations, an LSH index of 18 bands of 7 rows, as ration's default; candidates are not verified.
"""

import json
import pathlib
import re
import sys
import time

from datasketch import MinHash, MinHashLSH

folder, most = pathlib.Path(sys.argv[1]), int(sys.argv[2])
texts, total = [], 0
for path in sorted(p for p in folder.rglob("*") if p.is_file()):
    if total >= most:
        break
    data = path.read_bytes()
    if len(data) < 200:
        continue
    try:
        texts.append(data.decode())
    except UnicodeDecodeError:
        continue
    total += len(data)

began = time.perf_counter()
index = MinHashLSH(params=(18, 7), num_perm=128)
pairs = 0
for number, text in enumerate(texts):
    words = [w for w in re.split(r"\W+", text.lower()) if w]
    shingles = {" ".join(words[i:i + 5]).encode() for i in range(max(1, len(words) - 4))}
    numbers = MinHash(num_perm=128)
    numbers.update_batch(shingles)
    pairs += len(index.query(numbers))
    index.insert(number, numbers)
print(json.dumps({"seconds": time.perf_counter() - began, "documents": len(texts), "bytes": total, "pairs": pairs}))
