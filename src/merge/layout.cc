#include "merge/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <regex>
#include <set>

#include "base/text.h"
#include "merge/numbers.h"

namespace ration::merge {
namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;

constexpr std::size_t kListed = 20;  // differences that are spelled out
constexpr std::string_view kGram = ".gram";

Error refused(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

Source source(const Named& model, const TensorInfo* info) {
  return {model.name, model.checkpoint, info, model.checkpoint->bytes(*info).data()};
}

// All differences; the list is cut, the count is not.
struct Differences {
  std::size_t count = 0;
  std::vector<Error> listed;

  void add(std::string what) {
    if (count++ < kListed) listed.push_back(refused(std::move(what), ""));
  }
};

class Matcher {
 public:
  Matcher(const Recipe& recipe, const Inputs& inputs, const Options& options)
      : recipe_(recipe), inputs_(inputs), options_(options) {
    if (inputs.base != nullptr) all_.push_back(inputs.base);
    for (const Named& model : inputs.models) all_.push_back(&model);
  }

  Result<Layout> match() {
    std::optional<std::regex> ignore;
    if (!options_.ignore.empty()) {
      try {
        ignore.emplace(options_.ignore);
      } catch (const std::regex_error& error) {
        return Error{.kind = ErrorKind::usage,
                     .what = fmt::format("\"{}\" is no regular expression", options_.ignore),
                     .hint = error.what()};
      }
    }
    const auto ignored = [&](const std::string& name) {
      return ignore && std::regex_match(name, *ignore);
    };
    for (const TensorInfo& info : all_.front()->checkpoint->tensors())
      add(info, ignored(info.name));
    for (const Named* model : all_)
      for (const TensorInfo& info : model->checkpoint->tensors())
        if (all_.front()->checkpoint->find(info.name) == nullptr && !ignored(info.name))
          differences_.add(fmt::format(
              "tensor \"{}\" of {} is missing in {}", info.name, model->name, all_.front()->name));
    if (differences_.count > 0)
      return differ(
          "merge models of one architecture; --ignore copies single tensors from the base");
    if (layout_.tensors.empty())
      return refused(fmt::format("{} holds no tensors", all_.front()->name), "name another file");
    if (Result<void> same = check_whole_numbers(); !same) return std::move(same).error();
    if (needs_statistics(recipe_))
      if (Result<void> added = add_statistics(); !added) return std::move(added).error();
    std::set<const Checkpoint*> distinct;
    for (const Named* model : all_) {
      distinct.insert(model->checkpoint);
      if (model->statistics != nullptr) distinct.insert(model->statistics);
    }
    for (const Checkpoint* checkpoint : distinct)
      for (const TensorInfo& info : checkpoint->tensors())
        layout_.input_bytes += info.end - info.begin;
    return std::move(layout_);
  }

 private:
  void add(const TensorInfo& info, bool ignored) {
    Tensor tensor;
    tensor.out.name = info.name;
    tensor.out.dtype = tensor.dtype = info.dtype;
    tensor.out.shape = info.shape;
    tensor.origin = source(*all_.front(), &info);
    tensor.merged = !ignored && is_float(info.dtype);
    if (tensor.merged && options_.dtype) tensor.out.dtype = *options_.dtype;
    if (!ignored) {
      if (inputs_.base != nullptr) tensor.base = source(*inputs_.base, &info);
      for (const Named& model : inputs_.models) add_model(tensor, model, info);
    }
    tensor.count = elements(tensor.out.shape);
    if (tensor.merged) {
      tensor.flat = layout_.elements;
      layout_.elements += tensor.count;
    }
    layout_.tensors.push_back(std::move(tensor));
  }

  void add_model(Tensor& tensor, const Named& model, const TensorInfo& first) {
    const TensorInfo* info = model.checkpoint->find(first.name);
    const std::string& reference = all_.front()->name;
    if (info == nullptr)
      return differences_.add(
          fmt::format("tensor \"{}\" of {} is missing in {}", first.name, reference, model.name));
    if (info->dtype != first.dtype)
      differences_.add(fmt::format("tensor \"{}\": {} in {}, {} in {}",
                                   first.name,
                                   checkpoint::name(first.dtype),
                                   reference,
                                   checkpoint::name(info->dtype),
                                   model.name));
    if (info->shape != first.shape && !resized(tensor, *info, model))
      differences_.add(fmt::format("tensor \"{}\": shape {} in {}, {} in {}",
                                   first.name,
                                   shape_text(first.shape),
                                   reference,
                                   shape_text(info->shape),
                                   model.name));
    tensor.models.push_back(source(model, info));
  }

  // Cuts the output to the rows that both have, where that was asked for.
  bool resized(Tensor& tensor, const TensorInfo& info, const Named& model) {
    std::vector<std::uint64_t>& shape = tensor.out.shape;
    if (!options_.resize || !tensor.merged || shape.size() != 2 || info.shape.size() != 2 ||
        shape[1] != info.shape[1])
      return false;
    if (shape[0] != info.shape[0])
      layout_.warnings.push_back(fmt::format("tensor \"{}\" is cut to {} rows: {} has {}",
                                             info.name,
                                             std::min(shape[0], info.shape[0]),
                                             model.name,
                                             info.shape[0]));
    shape[0] = std::min(shape[0], info.shape[0]);
    return true;
  }

  Error differ(std::string hint) {
    std::string what = fmt::format("the inputs differ in {}", counted(differences_.count, "place"));
    if (differences_.count > kListed) what += fmt::format(", the first {} of them", kListed);
    Error error = refused(std::move(what), std::move(hint));
    error.causes = std::move(differences_.listed);
    return error;
  }

  Result<void> check_whole_numbers() const {
    for (const Tensor& tensor : layout_.tensors) {
      if (is_float(tensor.dtype)) continue;
      for (const Source& model : tensor.models) {
        const std::uint64_t item = item_bytes(tensor.dtype);
        const auto offset = first_difference(tensor.origin, model, tensor.count * item);
        if (!offset) continue;
        return refused(fmt::format("tensor \"{}\" ({}) of {} and {} differs at element {}",
                                   tensor.out.name,
                                   checkpoint::name(tensor.dtype),
                                   tensor.origin.model,
                                   model.model,
                                   *offset / item),
                       "numbers of this format are not merged; --ignore copies the tensor from the "
                       "base");
      }
    }
    return {};
  }

  Result<void> add_statistics() {
    const bool gram = recipe_.method == "regmean";
    for (const Named& model : inputs_.models)
      if (model.statistics == nullptr)
        return refused(
            fmt::format("{} has no statistics, which {} needs", model.name, recipe_.method),
            "`ration merge statistics` collects them; name one file a model");
    for (const Named& model : inputs_.models) check_run(model);
    for (Tensor& tensor : layout_.tensors) {
      if (!tensor.merged) continue;
      for (const Named& model : inputs_.models) {
        const std::string name = tensor.out.name + std::string(gram ? kGram : "");
        const TensorInfo* info = model.statistics->find(name);
        if (info != nullptr)
          tensor.statistics.push_back(
              {model.name, model.statistics, info, model.statistics->bytes(*info).data()});
        std::vector<std::uint64_t> wanted = tensor.out.shape;
        if (info != nullptr && gram && wanted.size() != 2) {
          differences_.add(
              fmt::format("\"{}\" in the statistics of {} is for no matrix: \"{}\" is {}",
                          name,
                          model.name,
                          tensor.out.name,
                          shape_text(wanted)));
          continue;
        }
        if (gram && wanted.size() == 2) wanted[0] = wanted[1];
        if (info != nullptr && (info->shape != wanted || !is_float(info->dtype)))
          differences_.add(fmt::format("\"{}\" in the statistics of {} is {} {}, not {}",
                                       name,
                                       model.name,
                                       checkpoint::name(info->dtype),
                                       shape_text(info->shape),
                                       shape_text(wanted)));
      }
      const bool complete = tensor.statistics.size() == inputs_.models.size();
      if (!complete && !(gram && tensor.statistics.empty()))
        differences_.add(fmt::format("the statistics of {} lack tensor \"{}\"",
                                     tensor.statistics.empty() ? "all models" : "some models",
                                     tensor.out.name));
    }
    if (differences_.count == 0) return {};
    return differ("`ration merge statistics` collects those of a model");
  }

  // Where both files name a run and a step, as ration writes them, they must be the same ones.
  void check_run(const Named& model) {
    const auto differs = [&](const std::string& what, std::string of, std::string statistics) {
      if (of.empty() || statistics.empty() || of == statistics) return;
      differences_.add(fmt::format("the statistics of {} are of {} {}, the model is of {} {}",
                                   model.name,
                                   what,
                                   statistics,
                                   what,
                                   of));
    };
    const auto value = [](const Checkpoint& checkpoint, const std::string& key) {
      const auto found = checkpoint.metadata().find(key);
      return found == checkpoint.metadata().end() ? std::string() : found->second;
    };
    const std::string run = value(*model.checkpoint, "run");
    const std::string measured = value(*model.statistics, "checkpoint");  // "…/checkpoint-STEP"
    const std::size_t dash = measured.rfind("checkpoint-");
    differs("run", run, value(*model.statistics, "run"));
    if (!run.empty() && dash != std::string::npos)
      differs("step", value(*model.checkpoint, "step"), measured.substr(dash + 11));
  }

  const Recipe& recipe_;
  const Inputs& inputs_;
  const Options& options_;
  std::vector<const Named*> all_;
  Layout layout_;
  Differences differences_;
};

// The first of `count` elements that is NaN or infinite; read(first, to) gives them.
template <class Read>
std::optional<std::uint64_t> first_not_finite(std::uint64_t count, const Read& read) {
  std::array<double, 1024> numbers{};
  for (std::uint64_t first = 0; first < count; first += numbers.size()) {
    const std::size_t some = std::min<std::uint64_t>(numbers.size(), count - first);
    read(first, std::span(numbers).first(some));
    for (std::size_t j = 0; j < some; ++j)
      if (!std::isfinite(numbers[j])) return first + j;
  }
  return {};
}

// The first difference between a model and the base that overflows.
std::optional<Error> overflowing_difference(const Tensor& tensor) {
  std::optional<std::uint64_t> lowest;
  std::string_view who;
  for (const Source& model : tensor.models) {
    const auto read = [&](std::uint64_t first, std::span<double> to) {
      difference(tensor.dtype, model.bytes, tensor.base.bytes, first, to);
    };
    const auto found = first_not_finite(tensor.count, read);
    if (!found || (lowest && *lowest <= *found)) continue;
    lowest = found, who = model.model;
  }
  if (!lowest) return {};
  return refused(
      fmt::format("tensor \"{}\": the difference of {} to the base overflows {} at element {}",
                  tensor.out.name,
                  who,
                  tensor.dtype == checkpoint::DType::f64 ? "F64" : "F32",
                  *lowest),
      "this model is no fine-tune of that base, or its file is damaged; leave it out");
}

}  // namespace

std::uint64_t elements(const std::vector<std::uint64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape) count *= extent;
  return count;
}

Result<Layout> match(const Recipe& recipe, const Inputs& inputs, const Options& options) {
  return Matcher(recipe, inputs, options).match();
}

std::optional<std::uint64_t> first_difference(const Source& a,
                                              const Source& b,
                                              std::uint64_t bytes) {
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 22;
  for (std::uint64_t begin = 0; begin < bytes; begin += kBlock) {
    const std::uint64_t end = std::min(begin + kBlock, bytes);
    const std::byte* const found =
        std::mismatch(a.bytes + begin, a.bytes + end, b.bytes + begin).first;
    const auto place = static_cast<std::uint64_t>(found - a.bytes);
    a.checkpoint->release(*a.info, begin, end);
    b.checkpoint->release(*b.info, begin, end);
    if (place != end) return place;
  }
  return {};
}

Error refuse_number(const Tensor& tensor, std::uint64_t element, bool subtracts) {
  std::vector<std::pair<const Source*, std::string_view>> sources = {{&tensor.base, ""}};
  for (const Source& model : tensor.models) sources.emplace_back(&model, "");
  for (const Source& source : tensor.statistics)
    sources.emplace_back(&source, "the statistics of ");
  for (const auto& [source, kind] : sources)
    if (source->bytes != nullptr)
      if (Result<void> whole = source->checkpoint->check_whole(); !whole)
        return std::move(whole).error();
  std::optional<std::uint64_t> lowest;
  std::string who;
  for (const auto& [source, kind] : sources) {
    if (source->bytes == nullptr) continue;
    const auto read = [&source = *source](std::uint64_t first, std::span<double> to) {
      widen(source.info->dtype, source.bytes, first, to);
    };
    const auto found = first_not_finite(elements(source->info->shape), read);
    if (!found || (lowest && *lowest <= *found)) continue;
    lowest = found;
    who = fmt::format("{}{}", kind, source->model);
  }
  if (lowest)
    return refused(fmt::format("tensor \"{}\" of {} holds NaN or infinity at element {}",
                               tensor.out.name,
                               who,
                               *lowest),
                   "this model diverged or its file is damaged; leave it out");
  if (subtracts)
    if (std::optional<Error> overflow = overflowing_difference(tensor)) return *std::move(overflow);
  return refused(fmt::format("tensor \"{}\": the result at element {} is beyond the range of {}",
                             tensor.out.name,
                             element,
                             checkpoint::name(tensor.out.dtype)),
                 "choose a wider --dtype, or smaller weights");
}

}  // namespace ration::merge
