#pragma once

// Lists of objects as hidden refs of a git server. What is pushed together is a batch, named by the
// SHA-256 of its list; a batch never changes, so pushes of many people cannot collide, and a clone
// asks for new lists only.
//
//   refs/ration/<kind>/lists/<batch>    a commit of one file, `list`: a line for each object
//   refs/ration/<kind>/objects/<batch>  a commit of one file, `objects`: their files, one behind
//   the
//                                       other, where git keeps them

#include <map>
#include <span>
#include <string>
#include <vector>

#include "git/repository.h"
#include "git/workshop.h"
#include "versions/object_id.h"

namespace ration::git {

struct BatchLine {
  versions::ObjectId id;
  std::string more;  // behind a blank: what else is known of it; may be empty
};

struct Batch {
  std::string name;
  std::vector<BatchLine> lines;
};

class HiddenRefs {
 public:
  HiddenRefs(const Repository& repository, std::string kind, std::string url)
      : repository_(&repository), kind_(std::move(kind)), url_(std::move(url)) {}

  const std::string& url() const { return url_; }
  std::string objects_ref(const std::string& batch) const {
    return "refs/ration/" + kind_ + "/objects/" + batch;
  }

  // All batches of the server. Lists that were fetched once are read from <store>/lists.
  Result<std::vector<Batch>> read() const;

  // The batch of these lines.
  static Batch batch_of(std::vector<BatchLine> lines);
  // Its list, to the server. Push what it names before.
  Result<void> publish(const Workshop& workshop, const Batch& batch) const;

 private:
  Path cache() const { return repository_->store_folder() / "lists"; }
  std::string lists_ref(const std::string& batch) const {
    return "refs/ration/" + kind_ + "/lists/" + batch;
  }
  std::optional<Batch> cached(const std::string& name) const;
  Result<void> fetch_lists(std::span<const std::string> batches) const;

  const Repository* repository_;
  std::string kind_;
  std::string url_;
};

}  // namespace ration::git
