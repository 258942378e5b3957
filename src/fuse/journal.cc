#include "fuse/journal.h"

#include <fmt/format.h>

#include "base/crc_line.h"
#include "base/fault.h"

namespace ration::fuse {
namespace {

// One line; its number must be the next.
Result<Json> decode(std::string_view line, std::size_t number) {
  if (Result<void> whole = check_crc(line); !whole) return std::move(whole).error();
  Result<Json> event = parse_json(line, "journal");
  if (!event) return event;
  const bool sound =
      event->is_object() && event->contains("event") && (*event)["event"].is_string();
  if (!sound || event->value("seq", Json()) != number)
    return Error{.kind = ErrorKind::input, .what = fmt::format("it is not event {}", number)};
  event->erase("crc");
  return event;
}

}  // namespace

Result<Journal> Journal::open(Files& files, Path file) {
  Journal journal(files, std::move(file));
  if (!files.exists(journal.file_)) return journal;
  Result<std::string> text = files.read(journal.file_);
  if (!text) return std::move(text).error();
  for (std::size_t begin = 0; begin < text->size();) {
    const std::size_t end = text->find('\n', begin);
    if (end == std::string::npos) break;  // torn
    const std::size_t number = journal.events_.size() + 1;
    Result<Json> event = decode(std::string_view(*text).substr(begin, end - begin), number);
    begin = end + 1;
    if (!event && begin == text->size()) break;  // written, but never whole on the disk
    if (!event) {
      Error error = std::move(event).error().with_context(
          fmt::format("{}, line {}", journal.file_.string(), number));
      error.kind = ErrorKind::input;
      error.hint =
          "the fusion cannot go on from here; begin it anew under another name: runs that "
          "are done are kept";
      return error;
    }
    journal.whole_ = begin;
    journal.events_.push_back(std::move(*event));
  }
  return journal;
}

Result<std::int64_t> Journal::append(Json event) {
  const auto number = static_cast<std::int64_t>(events_.size()) + 1;
  event["seq"] = number;
  Result<std::string> text = canonical_json(event);
  if (!text) return std::move(text).error();
  const std::string line = with_crc(*text) + "\n";
  const bool is_new = !files_->exists(file_);
  if (!is_new) {
    Result<std::uint64_t> size = files_->size(file_);
    if (!size) return std::move(size).error();
    if (*size > whole_)
      if (Result<void> cut = files_->truncate(file_, whole_); !cut) return std::move(cut).error();
  }
  Result<std::unique_ptr<AppendFile>> file = files_->open_append(file_);
  if (!file) return std::move(file).error();
  fault_point("fuse-before-event");
  if (Result<void> written = (*file)->append(line); !written) return std::move(written).error();
  if (Result<void> synced = (*file)->sync(); !synced) return std::move(synced).error();
  if (is_new)
    if (Result<void> synced = files_->sync(file_.parent_path()); !synced)
      return std::move(synced).error();
  fault_point("fuse-after-event");
  whole_ += line.size();
  events_.push_back(std::move(event));
  return number;
}

}  // namespace ration::fuse
