# Shared by tools/setup, tools/quickstart and tools/test: where LibTorch lies, and the one way to configure and build.
# Source it from the project's root; it sets $venv and defines torch_prefix, configure, build, build_programs.

venv=.venv
cuda_version=13.0     # of the compiler of the GPU's kernels
torch_version=2.13.0  # the version that the tests were run with; 2.11 is the oldest that compiles

say_error() { printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2; }

# Prints the folder that CMake needs in CMAKE_PREFIX_PATH to find LibTorch; status 1 when there is none. In this order:
# a prefix that the user gave, a PyTorch that python3 would import, the project's own virtual environment.
torch_prefix() {
  local prefix
  local IFS=':;'
  for prefix in ${CMAKE_PREFIX_PATH:-}; do
    for prefix in "$prefix" "$prefix/share/cmake"; do
      if [ -f "$prefix/Torch/TorchConfig.cmake" ]; then echo "$prefix" && return; fi
    done
  done
  python_torch python3 || python_torch "$venv/bin/python"
}

# Looks for the package's folder instead of importing it: an import takes seconds.
python_torch() {
  command -v "$1" >/dev/null || return 1
  "$1" - <<'PYTHON' 2>/dev/null
import importlib.util, pathlib, re, sys
spec = importlib.util.find_spec("torch")
if spec is None or not spec.submodule_search_locations:
    sys.exit(1)
folder = pathlib.Path(spec.submodule_search_locations[0])
version = re.search(r"__version__[^=]*= *'(\d+)\.(\d+)", (folder / "version.py").read_text())
usable = version and tuple(map(int, version.groups())) >= (2, 11)
if not usable or not (folder / "share/cmake/Torch/TorchConfig.cmake").is_file():
    sys.exit(1)
print(folder / "share/cmake")
PYTHON
}

# configure PRESET [OPTION…]: CMake with the compiler cache where there is one. Warnings are errors with the compiler that
# the project is tested with; another one may know warnings that nobody has seen yet.
configure() {
  local preset=$1 werror=OFF torch
  shift
  case $("${CXX:-g++}" -dumpversion 2>/dev/null) in 12 | 12.*) werror=ON ;; esac
  if command -v ccache >/dev/null; then
    export RATION_COMPILER_LAUNCHER=ccache
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1  # one cache for all copies of the project
    export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime  # needed by the precompiled header
  fi
  torch=$(torch_prefix) || torch=
  cmake --preset "$preset" -DRATION_WERROR=$werror ${torch:+"-DCMAKE_PREFIX_PATH=$torch"} "$@"
}

# build FOLDER [TARGET…]: all of it, or the targets named.
build() {
  local folder=$1
  shift
  cmake --build "$folder" -j "$(nproc)" ${1:+--target "$@"}
}

# Both programs in build/bin/, without the tests.
build_programs() {
  configure all >&2
  build build ration ration-train >&2
}
