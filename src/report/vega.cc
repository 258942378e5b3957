#include "report/vega.h"

#include <fmt/format.h>

#include <cmath>

namespace ration::report {
namespace {

constexpr const char* kSchema =
    "https://vega.github.io/schema/vega-lite/v5.json";  // names the format; nothing is fetched

}  // namespace

Json axis(const char* field, const char* title, bool logarithmic) {
  return {{"field", field},
          {"type", "quantitative"},
          {"title", title},
          {"scale", {{"type", logarithmic ? "log" : "linear"}, {"zero", false}, {"nice", false}}},
          {"axis", {{"grid", true}, {"gridOpacity", 0.4}}}};
}

Json rounded(double value) {
  return std::isfinite(value) ? Json(std::stod(fmt::format("{:.6g}", value))) : Json(nullptr);
}

Json top_level(Json spec, const char* description) {
  spec["$schema"] = kSchema;
  spec["description"] = description;
  spec["config"] = {{"view", {{"stroke", "transparent"}}},
                    {"font", "sans-serif"},
                    {"axis", {{"labelFontSize", 12}, {"titleFontSize", 13}}}};
  return spec;
}

Json line(const Json& rows, const Json& x, const Json& y) {
  return {{"data", {{"values", rows}}},
          {"mark", {{"type", "line"}, {"strokeWidth", 2}}},
          {"encoding", {{"x", x}, {"y", y}}}};
}

}  // namespace ration::report
