#!/usr/bin/env bash
# Eight corpora to fine-tune on and to merge: examples/eight-corpora/prepare.sh [FOLDER]      (default: eight-corpora)
#
# Eight texts out of Debian packages, as bytes, each with a tenth of its documents held out: prose (licences and the policy manual
# together, long essays, a dictionary), manuals (of Linux, of Perl) and code (Python, Perl, C++). Needs
# ration on PATH or in build/bin; a minute.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$root/build/bin:$PATH
folder=${1:-eight-corpora}
mkdir -p "$folder"
cd "$folder"

ration data fetch licences policy essays dictionary kernel perlpod pystd perlmod boost -o texts
mkdir -p texts/legal
cp -r texts/licences texts/policy texts/legal/
for name in legal essays dictionary kernel perlpod pystd perlmod boost; do
  split=()
  if [ "$name" = legal ] || [ "$name" = essays ]; then split=(--split-documents blank-lines); fi
  ration data prepare "texts/$name" -o "data/$name" --held-out 10 --filter against:100:cut "${split[@]}"
done
