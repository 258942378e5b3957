#pragma once

// What a scheduler says while a short command waits for it, without its progress.

#include "cli/command.h"
#include "scheduler/scheduler.h"

namespace ration::cli {

class Notes final : public scheduler::Observer {
 public:
  explicit Notes(const Console& console) : console_(console) {}
  void note(std::string_view text) override { console_.note(text); }
  void progress(const scheduler::Snapshot&) override {}

 private:
  const Console& console_;
};

}  // namespace ration::cli
