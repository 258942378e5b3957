#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "base/hash.h"
#include "base/random.h"
#include "base/unsynced_files.h"
#include "support/temporary_folder.h"
#include "support/vectors.h"
#include "versions/keep.h"
#include "versions/restore.h"

namespace ration::versions {
namespace {

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6U | static_cast<std::uint32_t>(kDigits.find(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFFU);
  }
  return bytes;
}

std::string restored(const ObjectStore& store, const Manifest& manifest) {
  std::string bytes;
  const Result<void> done = restore(
      store,
      manifest,
      [&](std::span<const std::byte> part) {
        bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
        return Result<void>();
      },
      1);
  EXPECT_TRUE(done) << done.error().describe();
  return bytes;
}

// Written by other programs: tests/vectors/checkpoint_files.json names them.
TEST(FilesOfOthers, ComeBackByteForByte) {
  const Json files = test::vectors("checkpoint_files.json");
  for (const std::string name : {"safetensors", "torch"}) {
    const std::string file = from_base64(files[name]["base64"].get<std::string>());
    ASSERT_EQ(sha256_hex(file), files[name]["sha256"]);
    test::TemporaryFolder folder;
    ASSERT_TRUE(unsynced_files().write_whole(folder / "model", file));
    const ObjectStore store(unsynced_files(), folder / "store");

    const Result<Kept> kept = keep(store, folder / "model", {});

    ASSERT_TRUE(kept) << kept.error().describe();
    EXPECT_EQ(kept->manifest.opaque(), name == "torch");
    EXPECT_EQ(restored(store, kept->manifest), file);
  }
}

// Damages headers until the time is over: each file is a checkpoint or opaque, and comes back.
void damage_headers(std::chrono::milliseconds time, std::uint64_t seed) {
  const Json files = test::vectors("checkpoint_files.json");
  const std::string good = from_base64(files["safetensors"]["base64"].get<std::string>());
  std::uint64_t header = 0;
  std::memcpy(&header, good.data(), 8);
  constexpr std::string_view kBytes = "{}[]\",:0123456789eE-+.\\utfnul BFI_\x00\xff\x80";
  test::TemporaryFolder folder;
  const ObjectStore store(unsynced_files(), folder / "store");
  Stream stream(seed, StreamId::labels);
  int checkpoints = 0;
  int files_seen = 0;
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    std::string file = good;
    for (std::uint64_t n = 1 + stream.below(4); n > 0; --n) {
      const std::size_t at = stream.below(8 + header);
      switch (stream.below(5)) {
        case 0:
          file[at] = kBytes[stream.below(kBytes.size())];
          break;
        case 1:
          file[at] = static_cast<char>(stream.next());
          break;
        case 2:
          file.erase(at, 1 + stream.below(20));
          break;
        case 3:
          file.insert(at, file.substr(8 + stream.below(header), stream.below(60)));
          break;
        default:
          file[stream.below(8)] = static_cast<char>(stream.next());
          break;
      }
    }
    // The length of the header follows, mostly, so that the JSON is what is wrong.
    if (stream.below(4) != 0 && file.size() > 8) {
      const std::uint64_t length = header + file.size() - good.size();
      std::memcpy(file.data(), &length, 8);
    }
    ASSERT_TRUE(unsynced_files().write_whole(folder / "model", file));

    const Result<Kept> kept = keep(store, folder / "model", {.threads = 1});

    ASSERT_TRUE(kept) << kept.error().describe();
    ASSERT_EQ(restored(store, kept->manifest), file);
    checkpoints += kept->manifest.opaque() ? 0 : 1;
    ++files_seen;
    // Objects of single files would fill the disk with folders.
    if (files_seen % 2000 == 0) {
      ASSERT_TRUE(unsynced_files().remove_all(folder / "store"));
    }
  }
  EXPECT_GT(checkpoints, 0);
  EXPECT_LT(checkpoints, files_seen);
}

TEST(Headers, SurviveASecondOfDamage) { damage_headers(std::chrono::milliseconds(700), 1); }

TEST(Headers, SurviveAMinuteOfDamage) { damage_headers(std::chrono::seconds(60), 2); }

}  // namespace
}  // namespace ration::versions
