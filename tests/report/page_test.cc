#include "report/page.h"

#include <gtest/gtest.h>

namespace ration::report {
namespace {

Page page_with(std::string text) {
  Figure figure{.name = "losses", .caption = text, .spec = {{"title", text}}};
  return {.title = text,
          .sections = {{.title = text,
                        .paragraphs = {text},
                        .tables = {{{text}, {{text}}}},
                        .figures = {figure}}}};
}

TEST(Page, EscapesTextInEveryPlace) {
  const std::string html = to_html(page_with("<img src=x onerror=alert(1)> & \"'"), "script");

  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_NE(html.find("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;&#39;"), std::string::npos);
}

TEST(Page, KeepsAFigureFromEndingItsScriptElement) {
  const std::string html = to_html(page_with("</script><b>"), "script");

  EXPECT_NE(html.find("\\u003c/script>"), std::string::npos);
  EXPECT_EQ(html.find("</script><b>"), std::string::npos);
}

TEST(Page, ForbidsItselfTheNetwork) {
  const std::string html = to_html(page_with("plain"), "script");

  EXPECT_NE(html.find("content=\"default-src 'none'"), std::string::npos);
  EXPECT_EQ(html.find("http://"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
}

TEST(Page, SaysThatFiguresAreMissingWithoutTheDrawingScript) {
  const std::string html = to_html(page_with("plain"), "");

  EXPECT_NE(html.find("Figures are left out"), std::string::npos);
  EXPECT_EQ(html.find("vegaEmbed"), std::string::npos);
}

TEST(Page, IsTheSameBytesForTheSameInput) {
  EXPECT_EQ(to_html(page_with("plain"), "script"), to_html(page_with("plain"), "script"));
}

}  // namespace
}  // namespace ration::report
