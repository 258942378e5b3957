#!/usr/bin/env bash
# The data of sweeps/scarce-prose.toml, remedies.toml and experts.toml: examples/scarce-prose/prepare.sh [FOLDER]      (default: scarce-prose)
#
# Scarce: the Debian policy manual and the texts of free software licences, 0.7 MB, a paragraph a document; licences come in
# versions that differ in a few words. Beside it: the manuals of Linux and of Perl, a dictionary, code in Python and C++. All out of
# Debian packages, with one vocabulary, learned from the scarce text. Needs ration and ration-train on PATH or in build/bin; five
# minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$root/build/bin:$PATH
folder=${1:-scarce-prose}
mkdir -p "$folder"
cd "$folder"

ration data fetch policy licences kernel perlpod dictionary pystd boost -o texts
mkdir -p texts/prose
cp -r texts/policy texts/licences texts/prose/

prose() {  # NAME OPTION…: the scarce text, without its held-out paragraphs among the training documents
  local name=$1
  shift
  ration data prepare texts/prose -o "data/$name" --split-documents blank-lines --held-out 8 --filter against:100:cut "$@"
}
prose prose --tokenizer bpe:1024
model=(--tokenizer "model:data/prose/tokenizer.model")
prose without-near "${model[@]}" --filter near:0.8
prose without-repeats "${model[@]}" --filter repeats:100:first
prose like-manuals "${model[@]}" --filter perplexity:lowest=0.5 --reference texts/kernel
prose unlike-manuals "${model[@]}" --filter perplexity:band=0.5..1 --reference texts/kernel

for source in kernel perlpod dictionary pystd boost; do
  ration data prepare "texts/$source" -o "data/$source" "${model[@]}" --against data/prose --filter against:100:cut
done

# Which of two paragraphs' ends belongs to a beginning: a task out of the held-out prose.
ration eval continuations data/prose -o continuations.jsonl
