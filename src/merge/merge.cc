#include "merge/merge.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <set>

#include "base/text.h"
#include "checkpoint/output_file.h"
#include "checkpoint/safetensors_writer.h"
#include "merge/layout.h"
#include "merge/numbers.h"
#include "merge/operator.h"

namespace ration::merge {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Metadata;
using checkpoint::TensorInfo;

constexpr std::string_view kSchema = "ration.merge/1";

std::unique_ptr<Operator> make_operator(const Recipe& recipe,
                                        const Inputs& inputs,
                                        const Options& options) {
  if (recipe.method == "fisher") return make_fisher(recipe, options.threads);
  if (recipe.method == "regmean") return make_regmean(recipe, options.threads);
  if (recipe.method == "slerp") return make_slerp(recipe, options.threads);
  if (recipe.method == "median" || recipe.method == "trimmed_mean") return make_middle(recipe);
  if (needs_base(recipe)) return make_tau_operator(recipe, options);
  return make_weighted(recipe, inputs.base != nullptr);
}

Result<void> check_inputs(const Recipe& recipe, const Inputs& inputs) {
  if (std::vector<Error> problems = check(recipe); !problems.empty())
    return combine(std::move(problems), "the recipe is wrong");
  if (inputs.models.size() != recipe.models.size() ||
      (needs_base(recipe) && inputs.base == nullptr))
    return Error{.kind = ErrorKind::internal,
                 .what = "the inputs of a merge are not those of its recipe"};
  return {};
}

// The bytes of one output tensor. Pieces run on all threads; what is wrong is told for the first
// element in order, so that it does not depend on them.
class Merger {
 public:
  Merger(Operator& method, bool subtracts, int threads)
      : method_(method),
        subtracts_(subtracts),
        states_(static_cast<std::size_t>(thread_count(threads))) {}

  Result<void> merge(const Tensor& tensor, std::byte* bytes) {
    if (!whole(tensor)) return refuse_number(tensor, 0, subtracts_);
    if (Result<void> done = method_.begin(tensor); !done) return done;
    const std::vector<Piece> pieces = pieces_of(tensor);
    const double limit = overflow_limit(tensor.out.dtype);
    std::mutex mutex;
    std::uint64_t wrong = UINT64_MAX;
    for_pieces(pieces.size(), std::span(states_), [&](std::size_t p, Scratch& scratch) {
      if (!whole(tensor)) {
        const std::scoped_lock lock(mutex);
        wrong = std::min(wrong, pieces[p].begin);
        return;
      }
      for_chunks(pieces[p], [&](std::uint64_t first, std::size_t count) {
        const std::span<double> out = scratch.out(count);
        scratch.finite = true;
        method_.merge(tensor, first, scratch, out);
        if (tensor.base.bytes != nullptr && !method_.reads_base())  // it must be sound all the same
          load(tensor.base, first, scratch, scratch.array(0, count));
        if (!scratch.finite || !all_below(out, limit)) {
          const std::scoped_lock lock(mutex);
          wrong = std::min(wrong, first + first_beyond(out, limit));
          return;
        }
        narrow(tensor.out.dtype, out, first, bytes);
      });
      release(pieces[p]);
    });
    if (wrong != UINT64_MAX) return refuse_number(tensor, wrong, subtracts_);
    return {};
  }

 private:
  static std::size_t first_beyond(std::span<const double> numbers, double limit) {
    std::size_t j = 0;
    while (j + 1 < numbers.size() && all_below(numbers.subspan(j, 1), limit)) ++j;
    return j;
  }

  Operator& method_;
  bool subtracts_;  // the base from the models
  std::vector<Scratch> states_;
};

// What a base carries for other programs stays; what names a run of ration does not.
Metadata kept_metadata(const Metadata& metadata) {
  Metadata kept;
  for (const auto& [key, value] : metadata)
    if (key != "run" && key != "step" && !key.starts_with("ration.")) kept[key] = value;
  return kept;
}

Json digests_of(const Inputs& inputs, const Options& options, Json& recipe) {
  std::vector<const Checkpoint*> all;
  if (inputs.base != nullptr) all.push_back(inputs.base->checkpoint);
  for (const Named& model : inputs.models) all.push_back(model.checkpoint);
  for (const Named& model : inputs.models)
    if (model.statistics != nullptr) all.push_back(model.statistics);
  const std::vector<std::string> digests = Checkpoint::sha256_of(all, options.threads);
  std::size_t next = 0;
  if (inputs.base != nullptr) recipe["base"] = "sha256:" + digests[next++];
  Json models = Json::array(), statistics = Json::array();
  for (std::size_t i = 0; i < inputs.models.size(); ++i)
    models.push_back("sha256:" + digests[next++]);
  for (const Named& model : inputs.models)
    if (model.statistics != nullptr) statistics.push_back("sha256:" + digests[next++]);
  recipe["models"] = std::move(models);
  return statistics;
}

// Method, parameters, inputs and program: what makes the output again.
Metadata provenance(const Recipe& recipe, const Inputs& inputs, const Options& options) {
  const Checkpoint& first =
      *(inputs.base != nullptr ? *inputs.base : inputs.models.front()).checkpoint;
  Metadata metadata = kept_metadata(first.metadata());
  Json document = {{"schema", kSchema}, {"recipe", to_json(recipe)}};
  if (options.input_digests) {
    Json statistics = digests_of(inputs, options, document["recipe"]);
    if (!statistics.empty()) document["statistics"] = std::move(statistics);
  }
  if (!options.version.empty()) document["version"] = options.version;
  if (options.dtype) document["dtype"] = checkpoint::name(*options.dtype);
  if (!options.ignore.empty()) document["ignore"] = options.ignore;
  if (options.resize) document["resize"] = "min";
  if (!options.soup.is_null()) document["soup"] = options.soup;
  // Names of files may hold bytes that are no UTF-8.
  metadata["ration.merge"] = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  return metadata;
}

// Models that are the base: they contribute nothing, which is seldom meant.
std::vector<std::string> idle_models(const Layout& layout, const Inputs& inputs) {
  std::vector<std::string> warnings;
  for (std::size_t i = 0; i < inputs.models.size(); ++i) {
    bool same = true;
    for (const Tensor& tensor : layout.tensors) {
      if (!same) break;
      if (tensor.merged)
        same = !first_difference(
            tensor.base, tensor.models[i], tensor.count * item_bytes(tensor.dtype));
    }
    if (same)
      warnings.push_back(
          fmt::format("{} equals the base: it contributes nothing", inputs.models[i].name));
  }
  return warnings;
}

// Digests, and numbers that a method sums up beforehand, are no good where this fails.
Result<void> check_whole(const Inputs& inputs) {
  std::vector<const Checkpoint*> all;
  if (inputs.base != nullptr) all.push_back(inputs.base->checkpoint);
  for (const Named& model : inputs.models)
    for (const Checkpoint* checkpoint : {model.checkpoint, model.statistics})
      if (checkpoint != nullptr) all.push_back(checkpoint);
  for (const Checkpoint* checkpoint : all)
    if (Result<void> whole = checkpoint->check_whole(); !whole) return whole;
  return {};
}

// Merges one tensor while the one before is being written.
Result<void> stream(
    const Layout& layout, Operator& method, bool subtracts, Sink& sink, const Options& options) {
  Merger merger(method, subtracts, options.threads);
  std::uint64_t largest = 0;
  for (const Tensor& tensor : layout.tensors)
    if (tensor.merged) largest = std::max(largest, tensor.out.end - tensor.out.begin);
  // Not cleared: memory that is never written stays unused.
  const std::unique_ptr<std::byte[]> buffers[2] = {
      std::make_unique_for_overwrite<std::byte[]>(largest),
      std::make_unique_for_overwrite<std::byte[]>(largest)};
  std::future<Result<void>> writing;
  const auto wait = [&]() -> Result<void> {
    return writing.valid() ? writing.get() : Result<void>();
  };
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    const Tensor& tensor = layout.tensors[i];
    std::span<const std::byte> bytes(tensor.origin.bytes,
                                     tensor.origin.info->end - tensor.origin.info->begin);
    Result<void> merged;
    if (!tensor.merged) merged = tensor.origin.checkpoint->check_whole();
    if (tensor.merged) {
      std::byte* const buffer = buffers[i % 2].get();
      merged = merger.merge(tensor, buffer);
      bytes = {buffer, tensor.out.end - tensor.out.begin};
    }
    Result<void> written = wait();
    if (!merged) return merged;
    if (!written) return written;
    writing = std::async(std::launch::async, [&sink, &tensor, bytes] {
      if (tensor.merged) return sink.tensor(tensor.out, bytes);
      return sink.copied(tensor.out, bytes, [&](std::uint64_t begin, std::uint64_t end) {
        tensor.origin.checkpoint->release(*tensor.origin.info, begin, end);
      });
    });
    if (tensor.merged) done += tensor.count;
    if (options.progress) options.progress(done, layout.elements);
  }
  return wait();
}

class FileSink final : public Sink {
 public:
  FileSink(Files& files, const Path& path) : files_(files), path_(path) {}

  Result<void> begin(std::span<const TensorInfo> layout, const Metadata& metadata) override {
    Result<checkpoint::SafetensorsWriter> writer = checkpoint::SafetensorsWriter::create(
        files_, path_, {layout.begin(), layout.end()}, metadata);
    if (!writer) return std::move(writer).error();
    writer_.emplace(std::move(*writer));
    return {};
  }
  Result<void> tensor(const TensorInfo&, std::span<const std::byte> bytes) override {
    return writer_->append(bytes);
  }
  Result<void> copied(const TensorInfo&,
                      std::span<const std::byte> bytes,
                      const Release& release) override {
    constexpr std::size_t kBlock = std::size_t{1} << 22;
    for (std::size_t begin = 0; begin < bytes.size(); begin += kBlock) {
      const std::size_t some = std::min(kBlock, bytes.size() - begin);
      if (Result<void> done = writer_->append(bytes.subspan(begin, some)); !done) return done;
      release(begin, begin + some);
    }
    return {};
  }
  Result<void> finish() { return writer_->finish(); }

 private:
  Files& files_;
  const Path& path_;
  std::optional<checkpoint::SafetensorsWriter> writer_;
};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

std::string Summary::one_line() const {
  return fmt::format("merged {}, {} numbers, {} of input in {} ({}/s)",
                     counted(tensors, "tensor"),
                     format_quantity(static_cast<double>(elements)),
                     format_quantity(static_cast<double>(input_bytes), "B"),
                     format_duration(seconds),
                     format_quantity(static_cast<double>(input_bytes) / seconds, "B"));
}

Result<Summary> merge(const Recipe& recipe,
                      const Inputs& inputs,
                      Sink& sink,
                      const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  if (Result<void> usable = check_inputs(recipe, inputs); !usable) return std::move(usable).error();
  Result<Layout> layout = match(recipe, inputs, options);
  if (!layout) return std::move(layout).error();
  const std::unique_ptr<Operator> method = make_operator(recipe, inputs, options);
  if (Result<void> ready = method->prepare(*layout); !ready) return std::move(ready).error();

  std::vector<TensorInfo> infos;
  Summary summary;
  for (Tensor& tensor : layout->tensors) {
    tensor.out.begin = summary.output_bytes;
    summary.output_bytes += tensor.count * item_bytes(tensor.out.dtype);
    tensor.out.end = summary.output_bytes;
    infos.push_back(tensor.out);
  }
  if (Result<void> begun = sink.begin(infos, provenance(recipe, inputs, options)); !begun)
    return std::move(begun).error();
  if (Result<void> done = stream(*layout, *method, needs_base(recipe), sink, options); !done)
    return std::move(done).error();

  method->end();
  if (Result<void> whole = check_whole(inputs); !whole) return std::move(whole).error();

  summary.tensors = layout->tensors.size();
  summary.elements = layout->elements;
  summary.input_bytes = layout->input_bytes;
  summary.warnings = std::move(layout->warnings);
  if (needs_base(recipe))
    for (std::string& warning : idle_models(*layout, inputs))
      summary.warnings.push_back(std::move(warning));
  for (std::string& warning : method->warnings) summary.warnings.push_back(std::move(warning));
  summary.seconds = seconds_since(begin);
  return summary;
}

Result<Summary> merge_to_file(Files& files,
                              const Recipe& recipe,
                              const Inputs& inputs,
                              const Path& output,
                              const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  // Before any work; the writer asks again.
  if (Result<Path> file = checkpoint::output_file(output); !file) return std::move(file).error();
  FileSink sink(files, output);
  Result<Summary> summary = merge(recipe, inputs, sink, options);
  if (!summary) return summary;
  if (Result<void> done = sink.finish(); !done) return std::move(done).error();
  summary->seconds = seconds_since(begin);
  return summary;
}

}  // namespace ration::merge
