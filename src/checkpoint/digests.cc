// SHA-256 of checkpoints: the files of all of them, two at a time on each thread, which hides that
// each instruction of one waits for the one before.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/parallel.h"
#include "base/sha256_blocks.h"
#include "checkpoint/checkpoint.h"

namespace ration::checkpoint {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;  // bytes between releases of pages

const unsigned char* data(const TensorFile& file) {
  return reinterpret_cast<const unsigned char*>(file.all().data());
}

// Mixes whole blocks of one file, from byte `begin` on, and returns its digest.
std::string finish(const TensorFile& file, Sha256State state, std::uint64_t begin) {
  const std::uint64_t size = file.all().size();
  while (size - begin >= kSha256Block && file.whole()) {
    const std::uint64_t piece = std::min(kPiece, (size - begin) / kSha256Block * kSha256Block);
    mix_sha256(state, data(file) + begin, piece / kSha256Block);
    begin += piece;
    file.release_all();
  }
  if (!file.whole()) return {};
  std::string digest = end_sha256(state, {data(file) + begin, size - begin}, size);
  file.release_all();
  return digest;
}

std::array<std::string, 2> digests_of_both(const TensorFile& a, const TensorFile& b) {
  std::array<Sha256State, 2> states = {kSha256Start, kSha256Start};
  const std::uint64_t common =
      std::min(a.all().size(), b.all().size()) / kSha256Block * kSha256Block;
  std::uint64_t begin = 0;
  while (begin < common && a.whole() && b.whole()) {
    const std::uint64_t piece = std::min(kPiece, common - begin);
    mix_two_sha256(
        {&states[0], &states[1]}, {data(a) + begin, data(b) + begin}, piece / kSha256Block);
    begin += piece;
    a.release_all(), b.release_all();
  }
  return {finish(a, states[0], begin), finish(b, states[1], begin)};
}

}  // namespace

std::vector<std::string> Checkpoint::sha256_of(std::span<const Checkpoint* const> checkpoints,
                                               int threads) {
  std::vector<const TensorFile*> files;
  for (const Checkpoint* checkpoint : checkpoints)
    for (const auto& shard : checkpoint->shards_) files.push_back(&shard->file);
  std::vector<std::string> digests(files.size());
  // Files beside each other tend to be of one length.
  parallel_for((files.size() + 1) / 2, threads, [&](std::size_t pair) {
    const std::size_t first = 2 * pair, second = first + 1;
    if (second == files.size()) {
      digests[first] = finish(*files[first], kSha256Start, 0);
      return;
    }
    std::array<std::string, 2> both = digests_of_both(*files[first], *files[second]);
    digests[first] = std::move(both[0]), digests[second] = std::move(both[1]);
  });

  std::vector<std::string> result;
  std::size_t next = 0;
  for (const Checkpoint* checkpoint : checkpoints) {
    std::string list;
    const bool sharded = checkpoint->shards_.size() > 1;
    for (const auto& shard : checkpoint->shards_)
      list += fmt::format("{}  {}\n", digests[next++], shard->name);
    result.push_back(sharded ? sha256_hex(list) : list.substr(0, list.find(' ')));
  }
  return result;
}

std::string Checkpoint::sha256() const {
  const Checkpoint* self = this;
  return sha256_of({&self, 1}, 1).front();
}

}  // namespace ration::checkpoint
