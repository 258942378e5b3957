#include "data/keep.h"

#include <fmt/format.h>

#include "base/text.h"

namespace ration::data {
namespace {

double number(const Json& object, const char* name) { return object.value(name, 0.0); }

std::string bytes(const Json& object, const char* name) {
  return format_quantity(number(object, name), "B");
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
  if (number(overlap, "documents") == 0)
    return text + fmt::format(
                      "held-out text among the training documents: none ({:.0f} bytes or more "
                      "in a row)\n",
                      number(overlap, "length"));
  return text +
         fmt::format(
             "held-out text among the training documents: at least {:.2f} % of the held-out "
             "text ({:.0f} of {:.0f} documents), {} of {:.0f} training documents ({:.0f} bytes "
             "or more in a row); --filter against takes it out\n",
             100 * number(overlap, "held_out_bytes_met") / number(overlap, "held_out_bytes"),
             number(overlap, "held_out_documents_met"),
             number(overlap, "held_out_documents"),
             bytes(overlap, "bytes"),
             number(overlap, "documents"),
             number(overlap, "length"));
}

}  // namespace ration::data
