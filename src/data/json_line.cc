#include "data/json_line.h"

#include "base/json.h"
#include "data/quick_json_line.h"

namespace ration::data {
namespace {

constexpr int kDeepest = 64;

// Takes two members of the outermost object and builds nothing of the rest.
class Members final : public Json::json_sax_t {
 public:
  explicit Members(const JsonFields& fields) : fields_(fields) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t number) override { return name(std::to_string(number)); }
  bool number_unsigned(number_unsigned_t number) override { return name(std::to_string(number)); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

  bool key(string_t& member) override {
    if (depth_ == 1)
      key_ = member == fields_.text                        ? Key::text
             : !fields_.id.empty() && member == fields_.id ? Key::id
                                                           : Key::other;
    return true;
  }

  bool string(string_t& words) override {
    if (depth_ == 1 && key_ == Key::text) {
      found_.text = std::move(words);
      has_text_ = true;
      return true;
    }
    return name(words);
  }

  bool has_text() const { return has_text_; }
  JsonText take() { return std::move(found_); }

 private:
  enum class Key { other, text, id };

  bool open(bool object) {
    if (depth_ == 0 && !object) return false;
    if (!value()) return false;
    return ++depth_ <= kDeepest;
  }
  bool close() {
    --depth_;
    key_ = Key::other;
    return true;
  }
  // A value outside an object is no line of ours.
  bool value() {
    if (depth_ == 1 && key_ == Key::text) has_text_ = false;
    return true;
  }
  bool name(std::string words) {
    if (depth_ == 1 && key_ == Key::id) found_.id = std::move(words);
    return value();
  }

  const JsonFields& fields_;
  JsonText found_;
  bool has_text_ = false;
  int depth_ = 0;
  Key key_ = Key::other;
};

}  // namespace

std::variant<JsonText, JsonLineProblem> read_json_line(std::string_view line,
                                                       const JsonFields& fields) {
  if (auto quick = quick_json_line(line, fields)) return *std::move(quick);
  const std::size_t start = line.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || line[start] != '{') return JsonLineProblem::invalid;
  Members members(fields);
  if (!Json::sax_parse(line.begin(), line.end(), &members)) return JsonLineProblem::invalid;
  if (!members.has_text()) return JsonLineProblem::no_text;
  return members.take();
}

}  // namespace ration::data
