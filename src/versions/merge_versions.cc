#include "versions/merge_versions.h"

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "checkpoint/safetensors_header.h"
#include "versions/hold.h"
#include "versions/mix.h"
#include "versions/restore.h"
#include "versions/source.h"
#include "versions/three_way.h"

namespace ration::versions {
namespace {

using checkpoint::Metadata;

std::optional<std::string> text_under(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::nullopt : std::optional(found->second);
}

class Merger {
 public:
  Merger(const ObjectStore& store,
         const MergeSides& sides,
         const Strategy& strategy,
         const MergeOptions& options)
      : store_(store), sides_(sides), strategy_(strategy), options_(options) {}

  Result<MergedVersion> run() {
    // Nothing that is found there is collected meanwhile.
    Result<Hold> hold = Hold::to_add(store_.files(), store_.folder());
    if (!hold) return std::move(hold).error();
    if (sides_.ours.opaque() || sides_.theirs.opaque()) return whole_file();
    choose_tensors();
    if (Result<void> done = choose_metadata(); !done) return std::move(done).error();
    if (!wanted()) return std::move(merged_);
    if (Result<void> done = compute_mixes(); !done) return std::move(done).error();
    if (!wanted()) return std::move(merged_);
    Result<void> done = finish_manifest();
    if (!done) return std::move(done).error();
    return std::move(merged_);
  }

 private:
  bool wanted() const { return merged_.conflicts.empty() || options_.ancestor; }

  // An opaque file counts as one tensor of bytes; one that only the base has, as another.
  Result<MergedVersion> whole_file() {
    const auto as_tensor = [](const Manifest& manifest) {
      return ManifestTensor{.dtype = checkpoint::DType::u8, .id = manifest.file};
    };
    const Manifest& base = sides_.base.manifest;
    const bool has_base = !base.opaque() || base.size > 0;
    const ManifestTensor a = as_tensor(base);
    const ManifestTensor b = as_tensor(sides_.ours);
    const ManifestTensor c = as_tensor(sides_.theirs);
    Verdict verdict = judge(has_base ? &a : nullptr, &b, &c, strategy_);
    if (verdict.outcome == Outcome::conflict) {
      verdict.reason += ", and it is no safetensors file on both sides";
      merged_.conflicts.push_back({"the file", verdict.reason});
    }
    merged_.result.manifest = verdict.outcome == Outcome::theirs ? sides_.theirs
                              : verdict.outcome == Outcome::base ? base
                                                                 : sides_.ours;
    return std::move(merged_);
  }

  void choose_tensors() {
    for (Judged& judged : judge(sides_.base.manifest,
                                sides_.ours,
                                sides_.theirs,
                                strategy_,
                                sides_.base.unclear_tensors)) {
      const ManifestTensor* ours = sides_.ours.find(judged.name);
      const ManifestTensor* theirs = sides_.theirs.find(judged.name);
      const ManifestTensor* base = sides_.base.manifest.find(judged.name);
      const ManifestTensor* taken = ours;
      switch (judged.verdict.outcome) {
        case Outcome::ours:
          break;
        case Outcome::theirs:
          taken = theirs;
          merged_.from_theirs.push_back(judged.name);
          break;
        case Outcome::base:
          taken = base;
          break;
        case Outcome::mixed:
          mixes_.push_back({*base, *ours, *theirs});
          merged_.mixed.push_back(judged.name);
          break;
        case Outcome::conflict:
          if (ours == nullptr) taken = theirs;
          merged_.conflicts.push_back({"tensor " + judged.name, judged.verdict.reason});
          merged_.result.unclear_tensors.insert(judged.name);
      }
      if (taken != nullptr) tensors_.push_back(*taken);
    }
  }

  Result<void> choose_metadata() {
    Result<Metadata> base = Source(store_, sides_.base.manifest).metadata();
    if (!base) return std::move(base).error();
    Result<Metadata> ours = Source(store_, sides_.ours).metadata();
    if (!ours) return std::move(ours).error();
    Result<Metadata> theirs = Source(store_, sides_.theirs).metadata();
    if (!theirs) return std::move(theirs).error();
    ours_metadata_ = std::move(*ours);
    theirs_metadata_ = std::move(*theirs);
    std::set<std::string> keys;
    for (const Metadata* metadata : {&ours_metadata_, &theirs_metadata_})
      for (const auto& [key, text] : *metadata) keys.insert(key);
    for (const std::string& key : keys) choose_text(key, text_under(*base, key));
    return {};
  }

  void choose_text(const std::string& key, const std::optional<std::string>& base) {
    const std::optional<std::string> ours = text_under(ours_metadata_, key);
    const std::optional<std::string> theirs = text_under(theirs_metadata_, key);
    Verdict verdict = judge_text(base, ours, theirs, strategy_);
    if (ours != theirs && sides_.base.unclear_keys.contains(key))
      verdict = {Outcome::conflict, "already a conflict between the common ancestors"};
    if (verdict.outcome == Outcome::conflict) {
      merged_.conflicts.push_back({"metadata " + key, verdict.reason});
      merged_.result.unclear_keys.insert(key);
    }
    const std::optional<std::string>& taken = verdict.outcome == Outcome::theirs ? theirs
                                              : verdict.outcome == Outcome::base ? base
                                                                                 : ours;
    if (taken) metadata_.emplace(key, *taken);
  }

  // What cannot be computed with becomes a conflict: a tensor by itself, but for TIES, which trims
  // over all of them.
  Result<void> compute_mixes() {
    if (mixes_.empty()) return {};
    const std::span<const Mix> all(mixes_);
    Result<bool> made =
        compute(all, all.size() == 1 ? "tensor " + all[0].ours.name : "tensors that both changed");
    if (!made) return std::move(made).error();
    if (*made || all.size() == 1 || strategy_.kind == Strategy::Kind::ties) return {};
    merged_.conflicts.pop_back();
    for (std::size_t i = 0; i < all.size(); ++i)
      if (made = compute(all.subspan(i, 1), "tensor " + all[i].ours.name); !made)
        return std::move(made).error();
    return {};
  }

  // False where there was a conflict.
  Result<bool> compute(std::span<const Mix> mixes, const std::string& what) {
    Result<std::vector<ManifestTensor>> made = mix(store_, mixes, strategy_, options_.threads);
    if (!made) {
      if (made.error().kind != ErrorKind::input) return std::move(made).error();
      merged_.conflicts.push_back({what, made.error().what});
      for (const Mix& one : mixes) {
        merged_.result.unclear_tensors.insert(one.ours.name);
        std::erase(merged_.mixed, one.ours.name);
      }
      return false;
    }
    for (ManifestTensor& tensor : *made) {
      merged_.result.unclear_tensors.erase(tensor.name);
      for (ManifestTensor& place : tensors_)
        if (place.name == tensor.name) place = tensor;
      if (std::find(merged_.mixed.begin(), merged_.mixed.end(), tensor.name) == merged_.mixed.end())
        merged_.mixed.push_back(tensor.name);
    }
    return true;
  }

  // Puts the tensors in the order of a side that has the same ones, with the same metadata.
  bool arrange_like(const Manifest& side, const Metadata& metadata) {
    if (metadata != metadata_ || side.tensors.size() != tensors_.size()) return false;
    std::unordered_map<std::string_view, const ManifestTensor*> names;
    for (const ManifestTensor& tensor : tensors_) names.emplace(tensor.name, &tensor);
    std::vector<ManifestTensor> arranged;
    for (const ManifestTensor& tensor : side.tensors) {
      const auto found = names.find(tensor.name);
      if (found == names.end()) return false;
      const ManifestTensor& same = *found->second;
      if (same.dtype != tensor.dtype || same.shape != tensor.shape) return false;
      arranged.push_back(same);
    }
    tensors_ = std::move(arranged);
    return true;
  }

  Result<void> finish_manifest() {
    Manifest& manifest = merged_.result.manifest;
    if (arrange_like(sides_.ours, ours_metadata_))
      manifest.header = sides_.ours.header;
    else if (arrange_like(sides_.theirs, theirs_metadata_))
      manifest.header = sides_.theirs.header;
    else if (Result<void> done = store_new_header(); !done)
      return done;
    manifest.tensors = std::move(tensors_);
    manifest.size = checkpoint::kLengthBytes + manifest.header->bytes;
    for (const ManifestTensor& tensor : manifest.tensors) manifest.size += tensor.bytes;
    for (const Manifest* side : {&sides_.ours, &sides_.theirs})
      if (manifest.header == side->header && manifest.tensors == side->tensors) {
        manifest.file = side->file;
        return {};
      }
    Result<ObjectId> digest = digest_of_file(store_, manifest, options_.threads);
    if (!digest) return std::move(digest).error();
    manifest.file = std::move(*digest);
    return {};
  }

  Result<void> store_new_header() {
    std::vector<checkpoint::TensorInfo> layout;
    for (const ManifestTensor& tensor : tensors_)
      layout.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
    const std::string text = checkpoint::header_json(layout, metadata_);
    const ObjectId id{sha256_hex(text)};
    Result<Stored> stored = store_.add({.id = id,
                                        .bytes = std::as_bytes(std::span(text)),
                                        .layout = layout_of_bytes(text.size()),
                                        .relatives = {}},
                                       options_.threads);
    if (!stored) return std::move(stored).error();
    merged_.result.manifest.header = ManifestHeader{id, text.size()};
    return {};
  }

  const ObjectStore& store_;
  const MergeSides& sides_;
  const Strategy& strategy_;
  const MergeOptions& options_;
  MergedVersion merged_;
  std::vector<ManifestTensor> tensors_;  // of the result; mixed ones as ours has them, until made
  std::vector<Mix> mixes_;
  Metadata ours_metadata_;
  Metadata theirs_metadata_;
  Metadata metadata_;  // of the result
};

}  // namespace

Result<MergedVersion> merge_versions(const ObjectStore& store,
                                     const MergeSides& sides,
                                     const Strategy& strategy,
                                     const MergeOptions& options) {
  return Merger(store, sides, strategy, options).run();
}

}  // namespace ration::versions
