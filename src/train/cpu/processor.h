#pragma once

// One source, compiled for several generations of processors; the program picks the best that the
// machine has.

namespace ration::train::cpu {

#if defined(__x86_64__)
template <class Body>
[[gnu::target("arch=x86-64-v4")]] void with_avx512(Body body) {
  body();
}
template <class Body>
[[gnu::target("arch=x86-64-v3")]] void with_avx2(Body body) {
  body();
}
#endif

// Runs a body that captures by value and whose call operator is always inlined: it is compiled
// anew, and vectorised, for each generation.
template <class Body>
void on_best_processor(Body body) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return with_avx512(body);
  if (__builtin_cpu_supports("x86-64-v3")) return with_avx2(body);
#endif
  body();
}

}  // namespace ration::train::cpu
