#pragma once

// A report as a value: sections of text, tables and figures; printed as one HTML file that opens
// without network.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ration::report {

// A figure is a Vega-Lite 5 specification with its data inside. `name` becomes a file name:
// letters, digits, '-'.
struct Figure {
  std::string name;
  std::string caption;  // one sentence that says what to see
  Json spec;
};

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct Section {
  std::string title;
  std::vector<std::string> paragraphs;
  std::vector<Table> tables;
  std::vector<Figure> figures;
};

struct Page {
  std::string title;
  std::vector<Section> sections;
};

// The page as HTML. `vega_script` is the JavaScript that defines vegaEmbed; when it is empty the
// figures are left out and the page says so. All text is escaped, and a content policy forbids the
// page any network access.
std::string to_html(const Page& page, std::string_view vega_script);

// Text with & < > " ' replaced, fit for element content and attribute values.
std::string html_escaped(std::string_view text);

}  // namespace ration::report
