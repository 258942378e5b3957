#include "git/filter_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace ration::git {
namespace {

using Kind = PacketReader::Kind;

Error protocol_error(std::string what) {
  return {.kind = ErrorKind::input,
          .what = "git does not keep to the protocol of filters: " + std::move(what),
          .hint = "this command is for git itself, which starts it as the filter \"ration\""};
}

// The lines until a flush packet, without their newlines; nothing at the end of the stream.
Result<std::optional<std::vector<std::string>>> read_list(PacketReader& from) {
  // Far more than git sends.
  constexpr std::size_t kMostLines = 1000;
  std::vector<std::string> lines;
  while (lines.size() < kMostLines) {
    Result<PacketReader::Packet> packet = from.next();
    if (!packet) return std::move(packet).error();
    if (packet->kind == Kind::flush) return std::optional(std::move(lines));
    if (packet->kind == Kind::end) {
      if (!lines.empty()) return protocol_error("it ends within a list");
      return std::optional<std::vector<std::string>>();
    }
    std::string_view line = packet->payload;
    if (line.ends_with('\n')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return protocol_error("a list does not end");
}

bool has(const std::vector<std::string>& lines, std::string_view line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

class Server {
 public:
  Server(Filter& filter, const FilterStreams& streams)
      : filter_(filter), streams_(streams), from_(streams.from_git), to_(streams.to_git) {}

  // False where git has left before it began.
  Result<bool> shake_hands() {
    auto welcome = read_list(from_);
    if (!welcome) return std::move(welcome).error();
    if (!*welcome) return false;
    if ((*welcome)->empty() || (*welcome)->front() != "git-filter-client" ||
        !has(**welcome, "version=2"))
      return protocol_error("it does not ask for version 2");
    if (Result<void> done = send_list({"git-filter-server", "version=2"}); !done)
      return std::move(done).error();
    auto offered = read_list(from_);
    if (!offered) return std::move(offered).error();
    if (!*offered) return protocol_error("it ends before the capabilities");
    std::vector<std::string> wanted;
    for (const char* name : {"clean", "smudge", "delay"}) {
      const std::string capability = fmt::format("capability={}", name);
      const bool ours = std::string_view(name) != "delay" || filter_.can_delay();
      if (ours && has(**offered, capability)) wanted.push_back(capability);
    }
    if (Result<void> done = send_list(wanted); !done) return std::move(done).error();
    return true;
  }

  // False at the end.
  Result<bool> answer() {
    auto lines = read_list(from_);
    if (!lines) return std::move(lines).error();
    if (!*lines) return false;
    const std::string command = value(**lines, "command");
    const std::string path = value(**lines, "pathname");
    Result<void> done;
    if (command == "list_available_blobs")
      done = list_available();
    else if (command == "clean" || command == "smudge")
      done = path.empty() ? protocol_error("a request names no file")
                          : one_file(command, path, value(**lines, "can-delay") == "1");
    else
      done = protocol_error(fmt::format("it asks for \"{}\"", command));
    if (!done) return std::move(done).error();
    return true;
  }

 private:
  static std::string value(const std::vector<std::string>& lines, std::string_view key) {
    for (const std::string& line : lines)
      if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
        return line.substr(key.size() + 1);
    return "";
  }

  Result<void> send_list(const std::vector<std::string>& lines) {
    for (const std::string& line : lines)
      if (Result<void> done = to_.line(line); !done) return done;
    to_.flush();
    return to_.send();
  }

  Result<void> one_file(const std::string& command, const std::string& path, bool may_delay) {
    Spool content(streams_.spool_folder);
    // Content is read to its end even where it cannot be kept: git sends all of it first.
    Result<void> kept;
    for (;;) {
      Result<PacketReader::Packet> packet = from_.next();
      if (!packet) return std::move(packet).error();
      if (packet->kind == Kind::end) return protocol_error("it ends within a file");
      if (packet->kind == Kind::flush) break;
      if (kept) kept = content.append(packet->payload);
    }
    if (!kept) return fail(path, kept.error());
    if (command == "clean") return clean(path, content);
    if (may_delay && filter_.can_delay() && filter_.delay(path, content))
      return send_list({"status=delayed"});
    return smudge(path, content);
  }

  Result<void> fail(const std::string& path, const Error& error) {
    streams_.say(Error(error).with_context(path));
    return send_list({"status=error"});
  }

  Result<void> clean(const std::string& path, Spool& content) {
    const Result<std::string> cleaned = filter_.clean(path, content);
    if (!cleaned) return fail(path, cleaned.error());
    if (Result<void> done = send_list({"status=success"}); !done) return done;
    if (Result<void> done = to_.bytes(*cleaned); !done) return done;
    to_.flush();
    return send_list({});  // the status stays
  }

  // The status that git is told before the content may turn out wrong behind it.
  Result<void> smudge(const std::string& path, const Spool& content) {
    bool begun = false;
    Result<void> sent;
    const auto begin = [&] {
      if (!begun) sent = send_list({"status=success"});
      begun = true;
    };
    const Result<void> done =
        filter_.smudge(path, content, [&](std::span<const std::byte> bytes) -> Result<void> {
          begin();
          if (sent) sent = to_.bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
          return sent;
        });
    if (!sent) return sent;
    if (!done && !begun) return fail(path, done.error());
    begin();
    to_.flush();
    return done ? send_list({}) : fail(path, done.error());
  }

  Result<void> list_available() {
    std::vector<std::string> lines;
    for (const std::string& path : filter_.available()) lines.push_back("pathname=" + path);
    if (Result<void> done = send_list(lines); !done) return done;
    return send_list({"status=success"});
  }

  Filter& filter_;
  const FilterStreams& streams_;
  PacketReader& from_;
  PacketWriter& to_;
};

}  // namespace

Result<void> serve(Filter& filter, const FilterStreams& streams) {
  Server server(filter, streams);
  Result<bool> more = server.shake_hands();
  while (more && *more) more = server.answer();
  return more ? Result<void>() : std::move(more).error();
}

}  // namespace ration::git
