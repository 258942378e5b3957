#include "checkpoint/json_checker.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "base/json.h"

namespace ration::checkpoint {
namespace {

constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kShownBytes = 200;  // of a name

class Checker final : public nlohmann::json_sax<Json> {
 public:
  explicit Checker(std::string_view what) : what_(what) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return descend(); }
  bool end_object() override { return names_.pop_back(), true; }
  bool start_array(std::size_t) override { return descend(); }
  bool end_array() override { return names_.pop_back(), true; }
  bool key(string_t& name) override {
    if (names_.back().insert(name).second) return true;
    problem = fmt::format("the name \"{}\" stands twice in {}", name.substr(0, kShownBytes), what_);
    return false;
  }
  bool parse_error(std::size_t position,
                   const std::string&,
                   const nlohmann::detail::exception&) override {
    problem = fmt::format("{} is not valid JSON at byte {}", what_, position);
    return false;
  }

  std::string problem;

 private:
  bool descend() {
    names_.emplace_back();
    if (names_.size() <= kMaxDepth) return true;
    problem = fmt::format("{} is nested deeper than {} levels", what_, kMaxDepth);
    return false;
  }

  std::string_view what_;
  std::vector<std::set<std::string>> names_;
};

}  // namespace

std::string problem_of_json(std::string_view text, std::string_view what) {
  Checker checker(what);
  Json::sax_parse(text, &checker);
  return std::move(checker.problem);
}

}  // namespace ration::checkpoint
