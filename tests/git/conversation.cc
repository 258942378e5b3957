#include "git/conversation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "git/streams_in_memory.h"

namespace ration::git::test {
namespace {

std::string reversed(std::string text) {
  std::reverse(text.begin(), text.end());
  return text;
}

Error failure() { return {.kind = ErrorKind::resource, .what = "no room"}; }

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// The answers to requests as git reads them: contents whose first and last status is success.
std::vector<std::string> successes(const std::string& answers) {
  PacketReader reader(reading(answers, 1 << 20));
  std::vector<std::string> found;
  std::vector<std::vector<std::string>> lists = {{}};
  for (;;) {
    const Result<PacketReader::Packet> packet = reader.next();
    if (!packet || packet->kind == PacketReader::Kind::end) break;
    if (packet->kind == PacketReader::Kind::flush)
      lists.emplace_back();
    else
      lists.back().emplace_back(packet->payload);
  }
  lists.pop_back();
  const std::vector<std::string> success = {"status=success\n"};
  for (std::size_t i = 0; i + 2 < lists.size(); ++i) {
    if (lists[i] != success) continue;
    std::string content;
    for (const std::string& part : lists[i + 1]) content += part;
    if (lists[i + 2].empty()) found.push_back(std::move(content));
    i += 2;
  }
  return found;
}

// All that can be taken for content of a request in the bytes: payloads between two flush packets.
std::set<std::string> contents_sent(const std::string& bytes) {
  PacketReader reader(reading(bytes, 1 << 20));
  std::set<std::string> contents;
  std::string content;
  for (;;) {
    const Result<PacketReader::Packet> packet = reader.next();
    if (!packet || packet->kind == PacketReader::Kind::end) return contents;
    if (packet->kind == PacketReader::Kind::data) {
      content += packet->payload;
      continue;
    }
    contents.insert(content);
    content.clear();
  }
}

std::string damaged(std::string bytes, Stream& random) {
  const auto place = [&] { return static_cast<std::size_t>(random.below(bytes.size() + 1)); };
  constexpr std::array<const char*, 7> kBad = {
      "0001", "0002", "fff1", "ffff", "0000", "zzzz", "0004"};
  for (std::uint64_t times = 1 + random.below(3); times > 0 && !bytes.empty(); --times) {
    const std::size_t at = place();
    const std::size_t count = std::min<std::size_t>(1 + random.below(30), bytes.size() - at);
    switch (random.below(5)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.erase(at, count);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, count));
        break;
      case 3:
        bytes.insert(at, kBad[random.below(kBad.size())]);
        break;
      default:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random.below(256));
    }
  }
  return bytes;
}

}  // namespace

Result<std::string> ReversingFilter::clean(const std::string& path, Spool& content) {
  if (fails.contains(path)) return failure();
  Result<std::string> text = content.text();
  return text ? Result<std::string>(reversed(std::move(*text))) : std::move(text);
}

Result<void> ReversingFilter::smudge(const std::string& path,
                                     const Spool& content,
                                     const versions::ByteSink& sink) {
  if (fails.contains(path)) return failure();
  Result<std::string> text = content.text();
  if (!text) return std::move(text).error();
  for (auto entry = arrived_.begin(); entry != arrived_.end(); ++entry)
    if (entry->first == path && text->empty()) {
      text = std::move(entry->second);
      arrived_.erase(entry);
      break;
    }
  const std::string back = reversed(std::move(*text));
  if (fails_late.contains(path)) {
    const Result<void> sent = sink(bytes_of(back).subspan(0, 1));
    return sent ? Result<void>(failure()) : sent;
  }
  return back.empty() ? Result<void>() : sink(bytes_of(back));
}

bool ReversingFilter::delay(const std::string& path, const Spool& content) {
  if (!waits.contains(path)) return false;
  delayed_.emplace_back(path, content.text().value());
  return true;
}

std::vector<std::string> ReversingFilter::available() {
  std::vector<std::string> paths;
  for (auto& entry : delayed_) {
    paths.push_back(entry.first);
    arrived_.push_back(std::move(entry));
  }
  delayed_.clear();
  return paths;
}

std::string packet(const std::string& payload) {
  return fmt::format("{:04x}{}", payload.size() + 4, payload);
}

std::string greeting() {
  return packet("git-filter-client\n") + packet("version=2\n") + "0000" +
         packet("capability=clean\n") + packet("capability=smudge\n") +
         packet("capability=delay\n") + "0000";
}

std::string request(const std::string& command,
                    const std::string& path,
                    const std::string& content,
                    const std::string& more) {
  std::string bytes = packet("command=" + command + "\n") + packet("pathname=" + path + "\n");
  for (std::size_t begin = 0; begin < more.size();) {
    const std::size_t end = more.find('\n', begin) + 1;
    bytes += packet(more.substr(begin, end - begin));
    begin = end;
  }
  bytes += "0000";
  for (std::size_t at = 0; at < content.size(); at += kLongestPayload)
    bytes += packet(content.substr(at, kLongestPayload));
  return bytes + "0000";
}

Outcome converse(Filter& filter, const Path& folder, const std::string& from_git) {
  Outcome outcome;
  PacketReader reader(reading(from_git, 4096));
  PacketWriter writer(writing(outcome.out));
  outcome.result = serve(
      filter, {reader, writer, folder, [&](const Error& e) { outcome.said.push_back(e.what); }});
  // Behind the second flush packet.
  const std::size_t server = outcome.out.find("0000");
  const std::size_t end =
      server == std::string::npos ? server : outcome.out.find("0000", server + 4);
  if (end != std::string::npos) outcome.answers = outcome.out.substr(end + 4);
  outcome.contents = successes(outcome.answers);
  return outcome;
}

void fuzz_conversations(const Path& folder, std::uint64_t seed, int rounds) {
  Stream random(seed, StreamId::faults);
  int answered = 0;
  int broken = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string requests;
    for (std::uint64_t i = 0; i <= random.below(3); ++i)
      requests +=
          request(random.below(2) == 0 ? "clean" : "smudge",
                  "model",
                  std::string(random.below(200), static_cast<char>('a' + random.below(26))) +
                      fmt::format("-{}", random.below(1000)),
                  random.below(2) == 0 ? "can-delay=1\n" : "");
    const std::string bytes = random.below(4) == 0 ? damaged(greeting() + requests, random)
                                                   : greeting() + damaged(requests, random);
    ReversingFilter filter;

    const Outcome outcome = converse(filter, folder, bytes);

    const std::set<std::string> sent = contents_sent(bytes);
    for (const std::string& content : outcome.contents) {
      EXPECT_TRUE(sent.contains(reversed(content))) << "seed " << seed << ", round " << round;
      ++answered;
    }
    broken += outcome.result ? 0 : 1;
  }
  EXPECT_GT(answered, rounds / 10) << "else nothing was looked at";
  EXPECT_GT(broken, rounds / 10);
}

}  // namespace ration::git::test
