#include "report/page.h"

#include <fmt/format.h>

namespace ration::report {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem;color:#1b1b1f}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
    "th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #888}"
    "figure{margin:1.5rem 0}figcaption{color:#555;font-size:.9rem}";

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:";

std::string row(const std::vector<std::string>& cells, std::string_view element) {
  std::string text = "<tr>";
  for (const std::string& cell : cells)
    text += fmt::format("<{0}>{1}</{0}>", element, html_escaped(cell));
  return text + "</tr>\n";
}

std::string table(const Table& t) {
  std::string text = "<table>\n<thead>" + row(t.header, "th") + "</thead>\n<tbody>\n";
  for (const auto& cells : t.rows) text += row(cells, "td");
  return text + "</tbody></table>\n";
}

// JSON inside a script element: a "<" in a string could end the element or open a comment, so none
// is left.
std::string script_safe(const Json& spec) {
  std::string safe;
  for (const char c : spec.dump(-1, ' ', true, Json::error_handler_t::replace))
    safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return safe;
}

std::string figure(const Figure& f, bool drawn) {
  const std::string name = html_escaped(f.name);
  std::string text =
      fmt::format("<figure><div id=\"{}\"></div><figcaption>{}</figcaption></figure>\n",
                  name,
                  html_escaped(f.caption));
  if (drawn)
    text += fmt::format("<script>vegaEmbed('#{}',{},{{renderer:'svg',actions:false}});</script>\n",
                        name,
                        script_safe(f.spec));
  return text;
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string to_html(const Page& page, std::string_view vega_script) {
  const bool drawn = !vega_script.empty();
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"{}\">\n<title>{}</title>\n<style>{}</style>\n",
      kPolicy,
      html_escaped(page.title),
      kStyle);
  if (drawn) text += fmt::format("<script>{}</script>\n", vega_script);
  text += fmt::format("</head><body>\n<h1>{}</h1>\n", html_escaped(page.title));
  if (!drawn)
    text +=
        "<p>Figures are left out: the drawing script was not installed with this build "
        "(tools/setup fetches it). Their specifications "
        "lie beside this page as .vl.json files.</p>\n";
  for (const Section& section : page.sections) {
    text += fmt::format("<h2>{}</h2>\n", html_escaped(section.title));
    for (const std::string& paragraph : section.paragraphs)
      text += fmt::format("<p>{}</p>\n", html_escaped(paragraph));
    for (const Table& t : section.tables) text += table(t);
    for (const Figure& f : section.figures) text += figure(f, drawn);
  }
  return text + "</body></html>\n";
}

}  // namespace ration::report
