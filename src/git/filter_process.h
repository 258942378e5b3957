#pragma once

// git's long-running filter: one process for all files of a command. See gitattributes(5), "Long
// Running Filter Process".

#include <functional>
#include <string>
#include <vector>

#include "git/pkt_line.h"
#include "git/spool.h"

namespace ration::git {

// What is done to files. An error costs the file, not the process.
class Filter {
 public:
  virtual ~Filter() = default;

  // What git stores for the content of `path`.
  virtual Result<std::string> clean(const std::string& path, Spool& content) = 0;
  // What lies in the work tree for what git stores.
  virtual Result<void> smudge(const std::string& path,
                              const Spool& content,
                              const versions::ByteSink& sink) = 0;

  // Whether smudge may ask git to come back later.
  virtual bool can_delay() const { return false; }
  // True: the content is kept, and git asks for `path` again, with no content.
  virtual bool delay(const std::string&, const Spool&) { return false; }
  // Waits for something that was delayed; the paths that can be asked for now. Empty: none is left.
  virtual std::vector<std::string> available() { return {}; }
};

struct FilterStreams {
  PacketReader& from_git;
  PacketWriter& to_git;
  Path spool_folder;
  std::function<void(const Error&)> say;  // what went wrong with single files
};

// Serves requests until git closes its end. ErrorKind::input where git breaks the protocol,
// ErrorKind::resource where a stream breaks: nothing more is answered then.
Result<void> serve(Filter& filter, const FilterStreams& streams);

}  // namespace ration::git
