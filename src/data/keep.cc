#include "data/keep.h"

#include <fmt/format.h>

#include "base/text.h"

namespace ration::data {
namespace {

double number(const Json& object, const char* name) { return object.value(name, 0.0); }

std::string bytes(const Json& object, const char* name) {
  return format_quantity(number(object, name), "B");
}

constexpr std::size_t kShownDigest = 12;

std::string met_text(const std::string& name, const Json& held_out) {
  if (number(held_out, "bytes_met") == 0) return "";
  return fmt::format("  at least {:.2f} % of {} ({:.0f} of {:.0f} documents)\n",
                     100 * number(held_out, "bytes_met") / number(held_out, "bytes"),
                     name,
                     number(held_out, "documents_met"),
                     number(held_out, "documents"));
}

}  // namespace

std::string filters_text(const Json& provenance) {
  std::string text;
  const Json filters = provenance.value("filters", Json::object());
  for (const Json& step : filters.value("steps", Json::array()))
    text +=
        fmt::format("filter {}: {:.0f} of {:.0f} documents dropped, {:.0f} cut; {} of {} left\n",
                    step.value("text", step.value("step", "")),
                    number(step, "documents_before") - number(step, "documents_after"),
                    number(step, "documents_before"),
                    number(step, "documents_cut"),
                    bytes(step, "bytes_after"),
                    bytes(step, "bytes_before"));
  const Json overlap = provenance.value("overlap", Json::object());
  if (overlap.empty()) return text;
  text += fmt::format("held-out text among the training documents, {:.0f} bytes or more in a row: ",
                      number(overlap, "length"));
  if (number(overlap, "documents") == 0) {
    text += "none\n";
  } else {
    text += fmt::format("{} in {:.0f} documents (--filter against takes it out)\n",
                        bytes(overlap, "bytes"),
                        number(overlap, "documents"));
    text += met_text("its own", overlap.value("own", Json::object()));
  }
  for (const Json& other : overlap.value("against", Json::array())) {
    const std::string name = other.value("text", other.value("data", "").substr(0, kShownDigest));
    text += met_text(name, other);
    const Json skipped = other.value("skipped", Json::object());
    for (const auto& [what, count] : skipped.items())
      text += fmt::format("  {}: {} {} left out\n", name, count.dump(), what);
  }
  return text;
}

}  // namespace ration::data
