#include "region/controls.h"

#include <cmath>
#include <optional>

#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "checkpoint/safetensors_writer.h"
#include "merge/numbers.h"
#include "region/sums.h"
#include "region/tied.h"

namespace ration::region {
namespace {

using merge::Layout;
using merge::Piece;
using merge::Scratch;
using merge::Tensor;

// A stream for each tensor, so that none depends on another.
Stream stream_of(const Tensor& tensor, std::uint64_t seed) {
  const std::uint64_t key = std::stoull(sha256_hex(tensor.out.name).substr(0, 16), nullptr, 16);
  return Stream(seed, StreamId::directions, key);
}

// The directions that are added to the base, a tensor at a time.
class Directions {
 public:
  Directions(
      const Layout& layout, std::size_t models, Control control, std::uint64_t seed, int threads)
      : layout_(layout), models_(models), control_(control), seed_(seed), threads_(threads) {}

  // The mean length of the models' changes, tensor by tensor; a look at all numbers before any is
  // written.
  Result<void> measure() {
    const std::size_t n = models_;
    Sets sets(layout_.tensors.size());
    for (std::size_t t = 0; t < sets.size(); ++t)
      if (layout_.tensors[t].merged) sets[t] = {t};
    const auto work = [n](const Tensor& tensor,
                          std::uint64_t first,
                          std::size_t count,
                          Scratch& scratch,
                          std::span<double> sums) {
      const std::span<double> base = scratch.array(0, count), tau = scratch.array(1, count);
      merge::load(tensor.base, first, scratch, base);
      for (std::size_t i = 0; i < n; ++i) {
        load_change(tensor, i, first, base, scratch, tau);
        sums[i] += dot(tau, tau);
      }
    };
    auto squares = sum_by_set(layout_, sets, sets.size(), n, threads_, work);
    if (!squares) return std::move(squares).error();
    for (const std::vector<double>& of_tensor : *squares) {
      lengths_.push_back(0);
      for (const double square : of_tensor)
        lengths_.back() += std::sqrt(square) / static_cast<double>(n);
    }
    return {};
  }

  // `key` stands for `tensor` where both are one tensor under two names.
  std::vector<double> of(const Tensor& tensor, const Tensor& key) const {
    std::vector<double> direction(tensor.count);
    const double length = lengths_[static_cast<std::size_t>(&tensor - layout_.tensors.data())];
    if (length == 0) return direction;
    const Stream stream = stream_of(key, seed_);
    if (control_ == Control::random)
      draw(tensor, stream, length, direction);
    else
      shuffle(tensor, stream, direction);
    return direction;
  }

 private:
  void draw(const Tensor& tensor,
            const Stream& stream,
            double length,
            std::vector<double>& direction) const {
    const std::vector<Piece> pieces = merge::pieces_of(tensor);
    std::vector<double> squares(pieces.size());
    parallel_for(pieces.size(), threads_, [&](std::size_t p) {
      Stream own = stream;
      own.skip(2 * pieces[p].begin);  // two draws a number
      const std::span<double> part =
          std::span(direction).subspan(pieces[p].begin, pieces[p].end - pieces[p].begin);
      for (double& number : part) number = own.normal();
      squares[p] = dot(part, part);
    });
    double square = 0;
    for (const double part : squares) square += part;
    for (double& number : direction) number *= length / std::sqrt(square);
  }

  static void shuffle(const Tensor& tensor, Stream stream, std::vector<double>& direction) {
    Scratch scratch;
    merge::for_chunks({&tensor, 0, tensor.count}, [&](std::uint64_t first, std::size_t count) {
      const std::span<double> base = scratch.array(0, count);
      merge::load(tensor.base, first, scratch, base);
      load_change(tensor, 0, first, base, scratch, std::span(direction).subspan(first, count));
    });
    for (std::size_t i = direction.size(); i > 1; --i)  // Fisher and Yates, from the end
      std::swap(direction[i - 1], direction[stream.below(i)]);
  }

  const Layout& layout_;
  std::size_t models_;
  Control control_;
  std::uint64_t seed_;
  int threads_;
  std::vector<double> lengths_;
};

// base + direction in the base's format. What does not move keeps its bits, the sign of a zero,
// too.
Result<void> add(const Tensor& tensor,
                 std::span<const double> direction,
                 std::vector<std::byte>& bytes) {
  const double limit = merge::overflow_limit(tensor.out.dtype);
  Scratch scratch;
  std::optional<std::uint64_t> wrong;
  merge::for_chunks({&tensor, 0, tensor.count}, [&](std::uint64_t first, std::size_t count) {
    const std::span<double> out = scratch.out(count);
    merge::load(tensor.base, first, scratch, out);
    for (std::size_t j = 0; j < count; ++j)
      if (direction[first + j] != 0) out[j] += direction[first + j];
    for (std::size_t j = 0; j < count && !wrong; ++j)
      if (!merge::all_below(out.subspan(j, 1), limit)) wrong = first + j;
    merge::narrow(tensor.out.dtype, out, first, bytes.data());
  });
  if (wrong) return merge::refuse_number(tensor, *wrong, true);
  return {};
}

checkpoint::Metadata metadata_of(Control control, const merge::Inputs& inputs, std::uint64_t seed) {
  Json models = Json::array();
  for (const merge::Named& model : inputs.models) models.push_back(model.name);
  const Json document = {{"schema", "ration.region.control/1"},
                         {"control", control == Control::random ? "random" : "shuffled"},
                         {"base", inputs.base->name},
                         {"models", models},
                         {"seed", seed}};
  return {{"ration.region", document.dump()}};
}

}  // namespace

Result<void> write_control(Files& files,
                           Control control,
                           const merge::Inputs& inputs,
                           std::uint64_t seed,
                           const Path& output,
                           const merge::Options& options) {
  if (inputs.base == nullptr || inputs.models.empty() ||
      (control == Control::shuffled && inputs.models.size() != 1))
    return Error{.kind = ErrorKind::internal,
                 .what = "a control needs a base and models, a shuffled one exactly one model"};
  merge::Recipe recipe;  // says no more than which models
  for (const merge::Named& model : inputs.models) recipe.models.push_back(model.name);
  Result<Layout> layout = merge::match(recipe, inputs, options);
  if (!layout) return std::move(layout).error();
  Directions directions(*layout, inputs.models.size(), control, seed, options.threads);
  if (Result<void> done = directions.measure(); !done) return done;

  std::vector<checkpoint::TensorInfo> infos;
  for (const Tensor& tensor : layout->tensors) infos.push_back(tensor.out);
  Result<checkpoint::SafetensorsWriter> writer = checkpoint::SafetensorsWriter::create(
      files, output, std::move(infos), metadata_of(control, inputs, seed));
  if (!writer) return std::move(writer).error();
  const std::vector<std::size_t> places = counted_as(*layout);
  for (std::size_t t = 0; t < places.size(); ++t) {
    const Tensor& tensor = layout->tensors[t];
    std::span<const std::byte> bytes(tensor.origin.bytes,
                                     tensor.origin.info->end - tensor.origin.info->begin);
    std::vector<std::byte> made;
    if (tensor.merged) {
      made.resize(tensor.count * checkpoint::item_bytes(tensor.out.dtype));
      const std::vector<double> direction = directions.of(tensor, layout->tensors[places[t]]);
      if (Result<void> done = add(tensor, direction, made); !done) return done;
      bytes = made;
    }
    if (Result<void> done = writer->append(bytes); !done) return done;
  }
  return writer->finish();
}

}  // namespace ration::region
